"""What an evaluation keeps of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from robot_perception.core import Float32Array
from robot_perception.evaluation.depth_range import DepthOverRange
from robot_perception.evaluation.frame import FrameErrors
from robot_perception.evaluation.panoptic import SegmentCounts
from robot_perception.evaluation.precision import FrameBoxes
from robot_perception.evaluation.tracking import FrameTracks


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """What is kept of one frame: some kilobytes, no picture.

    Attributes:
        errors: beside its truth.
        boxes: all predictions and true objects.
        has_detector: whether there were predictions at all, be they none.
        vector: (C,) float32, features of the scene.
        scene_type: the true one.
        timing_s: seconds of each stage.
        depth_range: errors of depth near and far.
        segments: those of each class.
        tracks: numbered objects, None where some have no number.
        stamp_ns: time of the frame.

    """

    errors: FrameErrors
    boxes: FrameBoxes
    has_detector: bool
    vector: Float32Array | None
    scene_type: str | None
    timing_s: Mapping[str, float]
    depth_range: DepthOverRange | None
    segments: Mapping[str, SegmentCounts] | None
    tracks: FrameTracks | None
    stamp_ns: int
