"""Classes that are words, which come while a network runs."""

from __future__ import annotations

from collections.abc import Sequence
import threading


class NumberedClasses:
    """Classes that are numbered when they come first, and keep their numbers until a reset.

    Upper and lower case make no difference. Threads may use them at the same time.
    """

    def __init__(self) -> None:
        """Start without classes."""
        # Name in lower case -> class id.
        self._ids: dict[str, int] = {}
        self._names: list[str] = []
        self._lock = threading.Lock()

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id: all so far, as they were spelled first."""
        return tuple(self._names)

    def number(self, prompts: Sequence[str]) -> tuple[int, ...]:
        """Return the class id of each prompt; new ones get the next numbers."""
        with self._lock:
            for name in prompts:
                if name.casefold() not in self._ids:
                    self._ids[name.casefold()] = len(self._names)
                    self._names.append(name)
            return tuple(self._ids[name.casefold()] for name in prompts)

    def reset_prompts(self) -> None:
        """Drop all classes so far; the next are numbered from 0."""
        with self._lock:
            self._ids, self._names = {}, []
