"""The stages of several frames, shown together."""

from __future__ import annotations

from collections.abc import Callable, Collection
import threading


class ShownStages:
    """Shows the stages of all frames under way as one set; thread-safe."""

    def __init__(self, show: Callable[[Collection[str]], None]) -> None:
        """Start without frames; ``show`` is called with the stages of all frames that run."""
        self._show = show
        self._lock = threading.Lock()
        self._running: dict[object, Collection[str]] = {}

    def of_frame(self) -> Callable[[Collection[str]], None]:
        """Return a function that takes the stages of a new frame that run, see `Stopwatch`."""
        frame = object()

        def show(names: Collection[str]) -> None:
            with self._lock:
                self._running[frame] = names
                if not names:
                    del self._running[frame]
                self._show(sorted(set().union(*self._running.values())))

        return show
