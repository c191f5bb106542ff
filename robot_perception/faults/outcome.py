"""What a row of the fault table measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Trials:
    """Result of the trials of one fault.

    Attributes:
        trials: how often it was injected.
        failures: one sentence for each trial or limit that was missed.
        figures: what was measured, with the unit at the end of each name (``output_p99_s``).
    """

    trials: int
    failures: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_passed(self) -> bool:
        """Whether the pass mark is met."""
        return self.trials > 0 and not self.failures
