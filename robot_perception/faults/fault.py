"""One row of the fault table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_perception.faults.outcome import Trials


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table.

    Attributes:
        row: its number.
        name: the fault.
        behavior: what must happen.
        mark: what the test demands.
        trials: number of trials of the long form.
        short: number of trials of the short form.
        inject: runs so many trials with a seed.
    """

    row: int
    name: str
    behavior: str
    mark: str
    trials: int
    short: int
    inject: Callable[[int, int], Trials]

    def run(self, trials: int, seed: int = 0) -> Trials:
        """Inject the fault ``trials`` times; an error of the test itself is a failure."""
        try:
            return self.inject(trials, seed)
        except Exception as error:  # noqa: BLE001 - the other rows must run
            return Trials(trials, (f'the test ended with {error!r}',))
