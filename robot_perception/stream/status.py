"""Status of the inputs of a frame, for diagnostics and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class InputStatus:
    """Whether one input of a frame was needed, and why it could not be used.

    Attributes:
        needed: whether it was asked for.
        reason: short stable slug that identifies the problem, empty without a problem.
        problem: what is wrong and what to do, empty without a problem.
        is_usable: whether the input is used; if it has a problem nevertheless, results may be
            wrong.
    """

    needed: bool = True
    reason: str = ''
    problem: str = ''
    is_usable: bool = True

    @classmethod
    def failed(cls, reason: str, problem: str) -> InputStatus:
        """Return the status of an input that was needed and cannot be used."""
        return cls(reason=reason, problem=problem, is_usable=False)

    @classmethod
    def doubtful(cls, reason: str, problem: str) -> InputStatus:
        """Return the status of an input that is used, and probably wrong."""
        return cls(reason=reason, problem=problem)


NOT_NEEDED, USABLE = InputStatus(needed=False), InputStatus()


class FrameStatus(NamedTuple):
    """Status of everything that results need besides the pixels of the image.

    Attributes:
        calibration: calibration of the camera.
        depth: metric depth, from the sensor or scaled by the height of the camera.
        frames: the transforms of the target, gravity and fixed frames.
        stamps: the stamp of the image.
    """

    calibration: InputStatus = NOT_NEEDED
    depth: InputStatus = NOT_NEEDED
    frames: InputStatus = NOT_NEEDED
    stamps: InputStatus = NOT_NEEDED


class Remedies(NamedTuple):
    """Advice about missing inputs, which depends on where the inputs come from.

    Attributes:
        arrival: what happened to an image when it arrived, a participle.
    """

    camera_info: str
    depth: str
    depth_camera_info: str
    registration: str
    arrival: str


LIVE = Remedies(
    camera_info='Remap camera_info to the topic of your camera',
    depth='Remap depth to the topic of your camera',
    depth_camera_info='Remap depth/camera_info to the topic beside the depth.',
    registration='Or let the driver register depth to color: align_depth.enable:=true for '
    'RealSense, depth_registration:=true for Orbbec and OpenNI, topic depth_to_rgb for Azure '
    'Kinect.',
    arrival='received',
)
RECORDED = Remedies(
    camera_info='Record camera_info beside the images',
    depth='Record depth with the stamps of the images',
    depth_camera_info='Record the camera_info topic beside the depth topic.',
    registration='Or record depth that the driver has registered to color: '
    'align_depth.enable:=true for RealSense, depth_registration:=true for Orbbec and OpenNI, '
    'topic depth_to_rgb for Azure Kinect.',
    arrival='recorded',
)
