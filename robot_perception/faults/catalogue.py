"""The fault table: each fault, what must happen, and how that is tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_perception.core import ConfigError
from robot_perception.faults.outcome import FaultOutcome, Trials


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

    def run(self, trials: int, seed: int = 0) -> FaultOutcome:
        """Inject the fault ``trials`` times; an error of the test itself is a failure."""
        try:
            result = self.inject(trials, seed)
        except Exception as error:  # noqa: BLE001 - the other rows must run
            result = Trials(trials, (f'the test ended with {error!r}',))
        return FaultOutcome(self.row, self.name, result.trials, result.failures, result.figures)


CATALOGUE: tuple[Fault, ...] = ()


def find_faults(rows: str = '') -> tuple[Fault, ...]:
    """Return the rows of a list such as ``'1,9-12'``, all for an empty one.

    Raises:
        ConfigError: the list is not understood, or a row does not exist.
    """
    if not rows:
        return CATALOGUE
    known = {fault.row: fault for fault in CATALOGUE}
    try:
        numbers = [number for part in rows.split(',') for number in _span(part)]
        return tuple(known[number] for number in dict.fromkeys(numbers))
    except (KeyError, ValueError):
        raise ConfigError(
            'unknown_row',
            f'--rows: expected rows of the fault table such as 1,9-12, got {rows!r}. '
            f'The rows are {", ".join(str(row) for row in known)}.',
        ) from None


def _span(part: str) -> range:
    first, _, last = part.partition('-')
    return range(int(first), int(last or first) + 1)
