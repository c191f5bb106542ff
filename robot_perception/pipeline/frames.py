"""In which frame the places of one image are said, and what is up in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from robot_perception.core import Image, normalize_frame_id, Pose, TransformError, Vector3
from robot_perception.pipeline.config_sections import FramesConfig


class TransformLookup(Protocol):
    """What is asked of TF: `core.TransformBuffer.lookup`, or one that waits."""

    def __call__(self, target: str, source: str, stamp_ns: int | None, /) -> Pose:
        """Find the target from the source at a time, None for the newest.

        Raises:
            TransformError: it is not known.

        """


@dataclass(frozen=True, slots=True)
class Placement:
    """How places of one image are said.

    Attributes:
        frame_id: frame of 3D results.
        pose: that frame from the optical frame; None when it is the optical frame itself.
        up: away from the ground in the optical frame, None when not asked for or not known.
        fixed: the frame that stands still from the optical frame, None likewise.
        problem: what was asked for and is not known, why, and what to do; empty for nothing.

    """

    frame_id: str
    pose: Pose | None = None
    up: Vector3 | None = None
    fixed: Pose | None = None
    problem: str = ''


def place_image(image: Image, config: FramesConfig, lookup: TransformLookup) -> Placement:
    """Look up where the camera was when it took an image.

    What TF does not know leaves results in the optical frame, or boxes along the camera's axes,
    and a problem in words; nothing is raised.

    Args:
        image: stamp and optical frame.
        config: the frames that are asked for.
        lookup: asks TF.

    """
    optical = normalize_frame_id(image.frame_id)
    target, gravity = (
        normalize_frame_id(config.target_frame),
        normalize_frame_id(config.gravity_frame),
    )
    still = normalize_frame_id(config.fixed_frame)
    if not config.needs_tf:
        return Placement(image.frame_id)
    if not optical:
        return Placement(
            image.frame_id,
            problem='the image has no frame_id, so TF cannot tell where it was taken. Set the '
            'frame_id of the camera driver to its optical frame.',
        )
    stamp_ns = config.tf_policy.lookup_stamp_ns(image.stamp_ns)
    pose, up, fixed, problems = None, None, None, []
    if target and target != optical:
        try:
            pose = lookup(target, optical, stamp_ns)
        except TransformError as error:
            problems.append(f'3D results stay in {optical!r} instead of {target!r}: {error}')
    if gravity:
        try:
            up = _z_axis(lookup(optical, gravity, stamp_ns))
        except TransformError as error:
            problems.append(
                f"boxes lie along the camera's axes instead of upright in {gravity!r}: {error}"
            )
    if still:
        try:
            fixed = lookup(still, optical, stamp_ns)
        except TransformError as error:
            problems.append(f'no velocities over {still!r}: {error}')
    return Placement(
        image.frame_id if pose is None else target, pose, up, fixed, problem=' '.join(problems)
    )


def _z_axis(pose: Pose) -> Vector3:
    x, y, z = pose.rotation[:, 2].tolist()
    return x, y, z
