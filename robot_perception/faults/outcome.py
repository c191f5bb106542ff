"""What a row of the fault table measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """Result of the trials of one fault.

    Attributes:
        row: number of the fault in the catalogue.
        fault: its name.
        trials: how often it was injected.
        failures: one sentence for each trial or limit that was missed.
        figures: what was measured, with the unit at the end of each name (``output_p99_s``).
    """

    row: int
    fault: str
    trials: int
    failures: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_passed(self) -> bool:
        """Whether the pass mark is met."""
        return self.trials > 0 and not self.failures


@dataclass(frozen=True, slots=True)
class Trials:
    """What a function of the catalogue returns: the outcome without its row.

    Attributes:
        trials: how often the fault was injected.
        failures: one sentence for each trial or limit that was missed.
        figures: what was measured, with the unit at the end of each name.
    """

    trials: int
    failures: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
