"""Where the newest frame of each camera waits for the worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import threading

from robot_perception.conversions import Message


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """What became of every frame: received = published + dropped + rejected + waiting.

    Attributes:
        received: frames that reached the callback.
        published: frames with at least one output published.
        dropped: good frames given up, by reason.
        rejected: bad frames, by reason.
        waiting: in the slot or under way.
        rejected_in_a_row: bad frames since the last that was published.
    """

    received: int
    published: int
    dropped: Mapping[str, int]
    rejected: Mapping[str, int]
    waiting: int
    rejected_in_a_row: int = 0


class FrameSlot:
    """Holds one frame: the newest wins, the one it replaces is counted as dropped.

    `put` is called by the executor's thread, `take` by that of the worker, and the outcomes by
    either of its threads. Every taken frame must be ended by exactly one of `published`, `drop`
    and `reject`.
    """

    def __init__(self, ready: threading.Condition | None = None) -> None:
        """Start empty; ``ready`` is notified of frames and of `close`."""
        self._ready = ready or threading.Condition()
        self._message: Message = None
        self._closed = False
        self._received = 0
        self._published = 0
        self._dropped: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._rejected_in_a_row = 0

    def put(self, message: Message) -> None:
        """Offer a message; the one still waiting is dropped for it. A closed slot takes none."""
        with self._ready:
            self._received += 1
            if self._closed:
                self._dropped['inactive'] += 1
                return
            if self._message is not None:
                self._dropped['newer_frame'] += 1
            self._message = message
            self._ready.notify()

    def refuse(self, reason: str) -> None:
        """Count a message that arrived and is not wanted."""
        with self._ready:
            self._received += 1
            self._dropped[reason] += 1

    def take(self) -> Message:
        """Return the message that waits, None if there is none."""
        with self._ready:
            message, self._message = self._message, None
            return message

    def open(self) -> None:
        """Take messages again after a `close`."""
        with self._ready:
            self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether messages are refused."""
        return self._closed

    def close(self, reason: str) -> None:
        """Refuse further messages; one that is still waiting is dropped."""
        with self._ready:
            self._closed = True
            self._discard(reason)
            self._ready.notify_all()

    def discard(self, reason: str) -> None:
        """Drop the waiting message, if any."""
        with self._ready:
            self._discard(reason)

    def _discard(self, reason: str) -> None:
        if self._message is not None:
            self._dropped[reason] += 1
            self._message = None

    def published(self) -> None:
        """End a taken message: it was published."""
        with self._ready:
            self._published += 1
            self._rejected_in_a_row = 0

    def drop(self, reason: str) -> None:
        """End a taken message: it was good and gave nothing."""
        with self._ready:
            self._dropped[reason] += 1

    def reject(self, reason: str) -> None:
        """End a taken message: it was bad."""
        with self._ready:
            self._rejected[reason] += 1
            self._rejected_in_a_row += 1

    def counts(self) -> FrameCounts:
        """Return what became of every frame so far."""
        with self._ready:
            ended = self._published + self._dropped.total() + self._rejected.total()
            return FrameCounts(
                received=self._received,
                published=self._published,
                dropped=dict(self._dropped),
                rejected=dict(self._rejected),
                waiting=self._received - ended,
                rejected_in_a_row=self._rejected_in_a_row,
            )


class FrameQueue:
    """The newest frames of several cameras, of which the camera served least recently is next.

    So a camera waits for at most one frame of each other camera, whatever their rates.

    Attributes:
        slots: one for each camera.
    """

    def __init__(self, cameras: int) -> None:
        """Create a slot for each of so many cameras."""
        self._ready = threading.Condition()
        self.slots = tuple(FrameSlot(self._ready) for _ in range(cameras))
        # Indices of the slots, the one served least recently first.
        self._order = list(range(cameras))

    def take(self, is_cancelled: Callable[[], bool] = lambda: False) -> tuple[int, Message] | None:
        """Wait for a frame; return the index of its slot and it, None once all are closed.

        Args:
            is_cancelled: whether to return None instead; see `wake`.
        """
        taken = self._take(1, is_cancelled)
        return taken[0] if taken else None

    def take_all(
        self, is_cancelled: Callable[[], bool] = lambda: False
    ) -> list[tuple[int, Message]]:
        """Wait for a frame, and return those of all cameras that have one, in their order.

        Args:
            is_cancelled: whether to return none instead; see `wake`.

        Returns:
            The index of each slot and its frame; none once all are closed.
        """
        return self._take(len(self.slots), is_cancelled)

    def wake(self) -> None:
        """Let every `take` check whether it is cancelled."""
        with self._ready:
            self._ready.notify_all()

    def _take(self, most: int, is_cancelled: Callable[[], bool]) -> list[tuple[int, Message]]:
        with self._ready:
            while not is_cancelled():
                taken: list[tuple[int, Message]] = []
                for index in tuple(self._order):
                    message = self.slots[index].take() if len(taken) < most else None
                    if message is not None:
                        self._order.remove(index)
                        self._order.append(index)
                        taken.append((index, message))
                if taken or all(slot.is_closed for slot in self.slots):
                    return taken
                self._ready.wait()
            return []
