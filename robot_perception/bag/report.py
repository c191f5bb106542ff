"""What became of the images of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Counts:
    """Images by what became of them; kept over interruptions.

    Attributes:
        seen: images with results.
        rejected: images that could not be read, by reason.
        without_calibration: images seen without a calibration, by the reason for it.
        without_depth: images seen without the sensor's depth that was asked for, by reason.
        without_frames: images whose 3D results are not in the frames asked for, under the first
            reason: it names times, so that each has its own.

    """

    seen: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    without_calibration: Counter[str] = field(default_factory=Counter)
    without_depth: Counter[str] = field(default_factory=Counter)
    without_frames: Counter[str] = field(default_factory=Counter)

    def values(self) -> dict[str, Any]:
        """Give them as values of JSON."""
        return {
            'seen': self.seen,
            'rejected': dict(self.rejected),
            'without_calibration': dict(self.without_calibration),
            'without_depth': dict(self.without_depth),
            'without_frames': dict(self.without_frames),
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Counts:
        """Make them of what `values` gave."""
        return cls(
            values['seen'],
            Counter(values['rejected']),
            Counter(values['without_calibration']),
            Counter(values['without_depth']),
            Counter(values['without_frames']),
        )


@dataclass(frozen=True, slots=True)
class BagReport:
    """The end of a job.

    Attributes:
        output: folder of the bag.
        counts: what became of the images.
        messages: what was written, by topic.
        bytes_written: size of the bag.
        resumed_after: images that an earlier run had done.
        elapsed_s: of this run, without loading the networks.
        busy_s: seconds that each part of the work took in this run; parts run side by side.
        damage: what could not be read of the recordings.

    """

    output: str
    counts: Counts
    messages: Mapping[str, int]
    bytes_written: int
    resumed_after: int
    elapsed_s: float
    busy_s: Mapping[str, float]
    damage: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every image of the recordings was read."""
        return not self.damage and not self.counts.rejected
