"""Rendering of the demo world with exact ground truth. A seed determines every byte."""

from __future__ import annotations

from collections.abc import Iterator

from robot_perception.core import Image, InputError, MetricDepth, NANOSECONDS_PER_SECOND
from robot_perception.world.frame import WorldFrame
from robot_perception.world.ground_truth import (
    build_detections,
    label_instances,
    name_colors,
    oriented_box,
)
from robot_perception.world.raycast import RayCaster
from robot_perception.world.scene_spec import RandomStream, sample_scene, SceneSpec
from robot_perception.world.sensor_image import apply_sensor, cast_camera_rays, render_radiance
from robot_perception.world.view import View
from robot_perception.world.vocabulary import FRAMES_PER_SECOND, OPTICAL_FRAME, world_camera

START_NS = NANOSECONDS_PER_SECOND


def render(seed: int, size_hw: tuple[int, int]) -> WorldFrame:
    """Render the scene of a seed: the first frame of its `sequence`, which has the arguments."""
    return next(sequence(seed, 1, size_hw))


def sequence(seed: int, frames: int, size_hw: tuple[int, int]) -> Iterator[WorldFrame]:
    """Render the scene of a seed from a moving camera at 30 frames a second.

    Args:
        seed: an integer in [0, 2^63).
        frames: count, at least 1; each is rendered on demand.
        size_hw: rows and columns; the horizontal field of view is the same for all.

    Raises:
        InputError: a seed, a count or a size out of range.
    """
    if frames < 1:
        raise InputError('out_of_range', f'frames: expected 1 or more, got {frames}.')
    return map(_Renderer(sample_scene(seed), size_hw).frame, range(frames))


class _Renderer:
    """One scene, with its ray casters."""

    def __init__(self, scene: SceneSpec, size_hw: tuple[int, int]) -> None:
        self._stage = scene
        self._camera = world_camera(size_hw)
        self._caster = RayCaster(scene.props, smooth=scene.object_count)
        self._silhouettes = tuple(
            RayCaster([prop], smooth=0) for prop in scene.props[: scene.object_count]
        )

    def frame(self, index: int) -> WorldFrame:
        scene = self._stage
        view = View(self._camera, scene.trajectory.pose(index / FRAMES_PER_SECOND))
        hits, directions = cast_camera_rays(self._caster, view)
        radiance = render_radiance(scene, self._caster, view, hits, directions)
        rgb = apply_sensor(radiance, scene.sensor, scene.rng(RandomStream.NOISE, index))
        size_hw = self._camera.size_hw
        instances, visible = label_instances(scene, hits.prop_ids, size_hw)
        optical_from_world = view.world_from_optical.inverse()
        return WorldFrame(
            image=Image(
                rgb, START_NS + index * NANOSECONDS_PER_SECOND // FRAMES_PER_SECOND, OPTICAL_FRAME
            ),
            camera=self._camera,
            world_from_camera=view.world_from_optical,
            scene_type=scene.scene_type,
            depth=MetricDepth.from_meters(hits.t_hit.reshape(size_hw)),
            detections=build_detections(scene, self._silhouettes, view, instances, visible),
            instances=instances,
            colors=name_colors(scene, hits, visible, pixel=1 / self._camera.fx),
            boxes_3d=tuple(
                oriented_box(scene.props[index], optical_from_world) for index in visible
            ),
        )
