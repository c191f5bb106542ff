"""Resolve the frame of an image's 3D results, and the camera's pose relative to gravity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from robot_perception.core import Image, normalize_frame_id, Pose, TransformError, Vector3
from robot_perception.pipeline import CameraAxes, FramesConfig
from robot_perception.stream.camera_axes import (
    BODY_FROM_OPTICAL,
    check_optical_axes,
    is_level_frame,
)
from robot_perception.stream.status import InputStatus, NOT_NEEDED, USABLE


class TransformLookup(Protocol):
    """Looks up a transform, as `core.TransformBuffer.lookup` does; may wait for it."""

    def __call__(self, target: str, source: str, stamp_ns: int | None, /) -> Pose:
        """Return target_from_source at a time, None or 0 for the newest.

        Raises:
            TransformError: the transform is not known.
        """


@dataclass(frozen=True, slots=True)
class TargetFrame:
    """The frame of an image's 3D results, and the pose of the camera.

    Attributes:
        frame_id: frame of 3D results.
        target_from_optical: pose of the camera in that frame; None when it is the optical frame.
        gravity_up: direction away from the ground in the optical frame, None when unknown or not
            needed.
        fixed_from_optical: pose of the camera in a frame that does not move, None when unknown
            or not needed.
        image_from_optical: pose of the camera in the frame that the image names; None when that
            is the optical frame.
        status: whether transforms were needed, and which could not be looked up.
    """

    frame_id: str
    target_from_optical: Pose | None = None
    gravity_up: Vector3 | None = None
    fixed_from_optical: Pose | None = None
    image_from_optical: Pose | None = None
    status: InputStatus = NOT_NEEDED


def resolve_target_frame(
    image: Image,
    config: FramesConfig,
    lookup: TransformLookup,
    axes: CameraAxes = CameraAxes.OPTICAL,
) -> TargetFrame:
    """Look up the pose of the camera when it took an image.

    Does not raise: without a transform, results stay in the optical frame, boxes are aligned with
    the camera's axes, and `TargetFrame.status` states the problem.

    Args:
        image: stamp and frame.
        config: the frames that are needed.
        lookup: looks up transforms.
        axes: axes of the image's frame.
    """
    turn = BODY_FROM_OPTICAL if axes is CameraAxes.BODY else None
    unplaced = TargetFrame(
        image.frame_id, turn, image_from_optical=turn, status=USABLE if turn else NOT_NEEDED
    )
    if not config.needs_tf:
        return unplaced
    optical = normalize_frame_id(image.frame_id)
    if not optical:
        problem = (
            'the image has no frame_id, so its pose cannot be looked up in TF. Set the frame_id '
            'of the camera driver to its optical frame.'
        )
        return replace(unplaced, status=InputStatus.failed('no_frame_id', problem))
    target = normalize_frame_id(config.target_frame)
    gravity = normalize_frame_id(config.gravity_frame)
    fixed = normalize_frame_id(config.fixed_frame)
    stamp_ns = config.tf_policy.lookup_stamp_ns(image.stamp_ns)
    problems: list[tuple[str, str]] = []

    def find(needed: str, target_id: str, source_id: str, consequence: str) -> Pose | None:
        if not needed:
            return None
        try:
            return lookup(target_id, source_id, stamp_ns)
        except TransformError as error:
            problems.append((error.reason, f'{consequence}: {error}'))
            return None

    target_from_image = find(
        target if target != optical else '',
        target,
        optical,
        f'3D results stay in {optical!r} instead of {target!r}',
    )
    image_from_gravity = find(
        gravity,
        optical,
        gravity,
        f"Boxes are aligned with the camera's axes instead of upright in {gravity!r}",
    )
    fixed_from_image = find(fixed, fixed, optical, f'No velocities relative to {fixed!r}')
    status = USABLE
    if problems:
        status = InputStatus.failed(problems[0][0], ' '.join(text for _, text in problems))
    elif axes is CameraAxes.AUTO:
        if image_from_gravity is not None:
            status = check_optical_axes(optical, gravity, image_from_gravity)
        else:
            status = _axes_status(optical, {target: target_from_image, fixed: fixed_from_image})
    return TargetFrame(
        image.frame_id if target_from_image is None else target,
        turn if target_from_image is None else _turned(target_from_image, turn),
        None if image_from_gravity is None else _up(image_from_gravity, turn),
        None if fixed_from_image is None else _turned(fixed_from_image, turn),
        turn,
        status,
    )


def _axes_status(frame_id: str, poses: Mapping[str, Pose | None]) -> InputStatus:
    """Compare the axes of a frame with the first level one in which its pose is known."""
    for level_id, pose in poses.items():
        if pose is not None and is_level_frame(level_id):
            return check_optical_axes(frame_id, level_id, pose.inverse())
    return USABLE


def _turned(frame_from_image: Pose, image_from_optical: Pose | None) -> Pose:
    if image_from_optical is None:
        return frame_from_image
    return frame_from_image.compose(image_from_optical)


def _up(image_from_level: Pose, image_from_optical: Pose | None) -> Vector3:
    """Return the z axis of a level frame in the optical frame."""
    pose = image_from_level
    if image_from_optical is not None:
        pose = image_from_optical.inverse().compose(pose)
    x, y, z = pose.rotation[:, 2].tolist()
    return x, y, z
