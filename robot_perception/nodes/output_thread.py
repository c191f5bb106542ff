"""A thread that makes the outputs of a frame while the next frame is computed."""

from __future__ import annotations

from collections.abc import Callable
import threading


class OutputThread:
    """Makes the outputs of one frame after another, each handed over by the thread of the frames.

    It holds one frame at most, so that no result waits for more than the outputs of the frame
    before.
    """

    def __init__(self) -> None:
        """Create the thread; `start` starts it."""
        self._changed = threading.Condition()
        self._work: Callable[[], None] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='outputs', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def has_ended(self) -> bool:
        """Whether the thread was started and has ended."""
        return self._thread.ident is not None and not self.is_alive

    def join(self, timeout_s: float) -> None:
        """Wait until the outputs of the last frame are made. Close the thread first."""
        if self.is_alive:
            self._thread.join(timeout_s)

    def hand_over(self, work: Callable[[], None]) -> None:
        """Wait until the outputs of the frame before are made, and let the thread run ``work``.

        Args:
            work: makes the outputs of a frame; it raises no error. A closed thread ignores it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._work is None or self._closed)
            if not self._closed:
                self._work = work
                self._changed.notify_all()

    def close(self) -> None:
        """Take no further work; the thread ends after what it has."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        """Wait for work and run it; return False if the thread is closed and has none."""
        with self._changed:
            self._changed.wait_for(lambda: self._work is not None or self._closed)
            work = self._work
        if work is None:
            return False
        work()
        with self._changed:
            self._work = None
            self._changed.notify_all()
        return True
