"""What runs tasks on workers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker that ended before its task did.

    Attributes:
        text: how, for people.
        where: the machine, as the engine names it; empty if unknown.
    """

    text: str
    where: str = ''


class Engine(Protocol):
    """Runs functions on workers.

    Attributes:
        slots: how many tasks may be submitted and not finished.
    """

    slots: int

    def submit(
        self,
        key: str,
        function: Callable[[Any], object],
        argument: object,
        avoid: Collection[str] = (),
    ) -> None:
        """Run a function of a module on a worker, not on those machines if there are others."""

    def next_result(self, timeout_s: float | None) -> tuple[str, object, str] | None:
        """Wait for any submitted function.

        Returns:
            Its key, what it returned or `WorkerLost`, and the machine; None after the time limit.
        """

    def close(self) -> None:
        """End all workers, at work or not."""
