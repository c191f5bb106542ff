"""Outcome of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Counts:
    """Images by outcome; kept over interruptions.

    Attributes:
        processed: images with results.
        rejected: images that could not be read, by reason.
        rejections: the text of the first rejection, by reason.
        imperfect: images with a fault that were read nevertheless, by reason.
        without_calibration: images without a calibration, by problem.
        without_depth: images without metric depth although the configuration needs it, by problem.
        without_frames: images whose 3D results are not in the configured frames, all under the
            first problem: the text contains times, so that each would be counted by itself.
        without_stamp: images whose stamp cannot be used, by problem.
        doubtful: images whose inputs are probably wrong, by problem.
    """

    processed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    rejections: dict[str, str] = field(default_factory=dict)
    imperfect: Counter[str] = field(default_factory=Counter)
    without_calibration: Counter[str] = field(default_factory=Counter)
    without_depth: Counter[str] = field(default_factory=Counter)
    without_frames: Counter[str] = field(default_factory=Counter)
    without_stamp: Counter[str] = field(default_factory=Counter)
    doubtful: Counter[str] = field(default_factory=Counter)

    def reject(self, reason: str, text: str) -> None:
        """Count an image that could not be read."""
        self.rejected[reason] += 1
        self.rejections.setdefault(reason, text)

    @property
    def without(self) -> tuple[Counter[str], ...]:
        """The images without each input, in the order of `stream.FrameStatus`."""
        return (
            self.without_calibration,
            self.without_depth,
            self.without_frames,
            self.without_stamp,
        )

    def values(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            'seen': self.processed,
            'rejected': dict(self.rejected),
            'rejections': self.rejections,
            'imperfect': dict(self.imperfect),
            'without_calibration': dict(self.without_calibration),
            'without_depth': dict(self.without_depth),
            'without_frames': dict(self.without_frames),
            'without_stamp': dict(self.without_stamp),
            'doubtful': dict(self.doubtful),
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Counts:
        """Return the counts of what `values` returned."""
        others = {'seen', 'rejections'}
        reasons = {name: Counter(counts) for name, counts in values.items() if name not in others}
        return cls(values['seen'], rejections=dict(values['rejections']), **reasons)


@dataclass(frozen=True, slots=True)
class BagReport:
    """Result of a job.

    Attributes:
        output: folder of the bag.
        counts: images by outcome.
        messages: number of messages written, by topic.
        bytes_written: size of the bag.
        resumed_after: images that an earlier, interrupted run had done.
        elapsed_s: duration of this run, without loading the networks.
        busy_s: seconds that each part of the work took in this run; parts run concurrently.
        damage: what could not be read from the recordings.
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
