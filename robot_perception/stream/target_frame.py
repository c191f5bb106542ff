"""Resolve the frame of an image's 3D results, and the camera's pose relative to gravity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from robot_perception.core import Image, normalize_frame_id, Pose, TransformError, Vector3
from robot_perception.pipeline import FramesConfig
from robot_perception.stream.status import InputStatus, NOT_NEEDED, USABLE


class TransformLookup(Protocol):
    """Looks up a transform, as `core.TransformBuffer.lookup` does; may wait for it."""

    def __call__(self, target: str, source: str, stamp_ns: int | None, /) -> Pose:
        """Return target_from_source at a time, None for the newest.

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
        status: whether transforms were needed, and which could not be looked up.

    """

    frame_id: str
    target_from_optical: Pose | None = None
    gravity_up: Vector3 | None = None
    fixed_from_optical: Pose | None = None
    status: InputStatus = NOT_NEEDED


def resolve_target_frame(
    image: Image, config: FramesConfig, lookup: TransformLookup
) -> TargetFrame:
    """Look up the pose of the camera when it took an image.

    Does not raise: without a transform, results stay in the optical frame, boxes are aligned with
    the camera's axes, and `TargetFrame.status` states the problem.

    Args:
        image: stamp and optical frame.
        config: the frames that are needed.
        lookup: looks up transforms.

    """
    if not config.needs_tf:
        return TargetFrame(image.frame_id)
    optical = normalize_frame_id(image.frame_id)
    if not optical:
        problem = (
            'the image has no frame_id, so its pose cannot be looked up in TF. Set the frame_id '
            'of the camera driver to its optical frame.'
        )
        return TargetFrame(image.frame_id, status=InputStatus.failed('no_frame_id', problem))
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

    target_from_optical = find(
        target if target != optical else '',
        target,
        optical,
        f'3D results stay in {optical!r} instead of {target!r}',
    )
    optical_from_gravity = find(
        gravity,
        optical,
        gravity,
        f"Boxes are aligned with the camera's axes instead of upright in {gravity!r}",
    )
    fixed_from_optical = find(fixed, fixed, optical, f'No velocities relative to {fixed!r}')
    return TargetFrame(
        image.frame_id if target_from_optical is None else target,
        target_from_optical,
        None if optical_from_gravity is None else _z_axis(optical_from_gravity),
        fixed_from_optical,
        InputStatus.failed(problems[0][0], ' '.join(text for _, text in problems))
        if problems
        else USABLE,
    )


def _z_axis(pose: Pose) -> Vector3:
    x, y, z = pose.rotation[:, 2].tolist()
    return x, y, z
