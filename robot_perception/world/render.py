"""Pictures of the demo world with exact truth. The same seed gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from robot_perception.core import Image, InputError, MetricDepth
from robot_perception.world.frame import WorldFrame
from robot_perception.world.picture import expose, look, paint_picture, View
from robot_perception.world.raycast import RayCaster
from robot_perception.world.stage import set_stage, Stage, Stream
from robot_perception.world.truth import describe_objects, label_pixels, oriented_box
from robot_perception.world.vocabulary import FRAMES_PER_SECOND, OPTICAL_FRAME, world_camera

START_NS = 1_000_000_000
_NANOSECONDS = 1_000_000_000


def render(seed: int, size_hw: tuple[int, int]) -> WorldFrame:
    """Render the scene of a seed: the first frame of its sequence.

    Args:
        seed: a whole number in [0, 2^63).
        size_hw: rows and columns; the horizontal field of view is the same for all.

    Raises:
        InputError: a seed or a size that there is none of.

    """
    return next(sequence(seed, 1, size_hw))


def sequence(seed: int, frames: int, size_hw: tuple[int, int]) -> Iterator[WorldFrame]:
    """Render what a camera sees that moves about the scene of a seed, at 30 frames a second.

    Args:
        seed: a whole number in [0, 2^63).
        frames: how many, at least 1.
        size_hw: rows and columns.

    Returns:
        An iterator; each frame is rendered when it is asked for.

    Raises:
        InputError: a seed, a count or a size that there is none of.

    """
    if frames < 1:
        raise InputError(f'frames: expected 1 or more, got {frames}.')
    return _Renderer(set_stage(seed), size_hw).frames(frames)


class _Renderer:
    """One scene, indexed for rays."""

    def __init__(self, stage: Stage, size_hw: tuple[int, int]) -> None:
        self._stage = stage
        self._camera = world_camera(size_hw)
        self._caster = RayCaster(stage.things, smooth=stage.object_count)
        self._silhouettes = tuple(
            RayCaster([thing], smooth=0) for thing in stage.things[: stage.object_count]
        )

    def frames(self, count: int) -> Iterator[WorldFrame]:
        for index in range(count):
            yield self._frame(index)

    def _frame(self, index: int) -> WorldFrame:
        stage = self._stage
        view = View(self._camera, stage.way.pose(index / FRAMES_PER_SECOND))
        hits, directions = look(self._caster, view)
        light = paint_picture(stage, self._caster, view, hits, directions)
        rgb = expose(light, stage.lens, stage.chance(Stream.NOISE, index))
        size_hw = self._camera.size_hw
        instances, visible = label_pixels(stage, hits.thing, size_hw)
        back = view.pose.inverse()
        return WorldFrame(
            image=Image(rgb, START_NS + index * _NANOSECONDS // FRAMES_PER_SECOND, OPTICAL_FRAME),
            camera=self._camera,
            world_from_camera=view.pose,
            scene_type=stage.scene_type,
            depth=MetricDepth.from_meters(hits.reach.reshape(size_hw)),
            detections=describe_objects(stage, self._silhouettes, view, instances, visible),
            instances=instances,
            boxes_3d=tuple(oriented_box(stage.things[number], back) for number in visible),
        )
