"""Numbers of classes that are words, which come while a network runs."""

from __future__ import annotations

from collections.abc import Sequence
import threading


class ClassNumbers:
    """Numbers names when they come first; they keep their numbers until `reset`.

    Upper and lower case make no difference. Threads may use it at the same time.
    """

    def __init__(self) -> None:
        """Start without names."""
        # Name in lower case -> class id.
        self._ids: dict[str, int] = {}
        self._names: list[str] = []
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Names by class id, as they were spelled first."""
        return tuple(self._names)

    def number(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the class id of each name; new ones get the next numbers."""
        with self._lock:
            for name in names:
                if name.casefold() not in self._ids:
                    self._ids[name.casefold()] = len(self._names)
                    self._names.append(name)
            return tuple(self._ids[name.casefold()] for name in names)

    def reset(self) -> None:
        """Drop all names; the next are numbered from 0."""
        with self._lock:
            self._ids, self._names = {}, []
