#!/usr/bin/env python3
"""Write the animation of the README: `.venv/bin/python workspace/animate_demo.py OUT.webp`.

A sequence of the demo world goes through the pipeline with the preset `demo` and the depth of a
simulated sensor. Each frame shows objects, 3D boxes, depth and point cloud.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from robot_perception import PerceptionPipeline
from robot_perception.core import (
    Box3D,
    CameraModel,
    MetricDepth,
    object_color,
    quaternion_to_matrix,
    Scene,
    UInt8Array,
)
from robot_perception.viewer import draw_cloud, draw_depth, draw_overlay, draw_text
from robot_perception.world import depth_sensor_rng, sense_depth, sequence

SEED = 54
# Every sixth frame of 30 a second, twice as fast as recorded.
FRAMES, STEP, FRAME_MS = 270, 6, 100
RENDERED_HW, PANEL_WH = (480, 640), (400, 300)
QUALITY = 60
DEPTH_RANGE_M = (0.4, 1.8)
TITLE_PX, TITLE_AT, TITLE_STRIP_PX = 15, (10, 12), 24
BACKGROUND, LETTERS = (24, 26, 31), (255, 255, 255)
# Of a box of size 1; corners that differ in one coordinate are joined by an edge.
CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
EDGES = [
    (first, second)
    for first in range(8)
    for second in range(first + 1, 8)
    if (CORNERS[first] != CORNERS[second]).sum() == 1
]


def main() -> None:
    """Write the animation to the file that is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('output', type=Path)
    path: Path = parser.parse_args().output
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(compose(scene), cv2.COLOR_RGB2BGR) for scene in scenes()]
    animation.durations = [FRAME_MS] * len(animation.frames)
    if not cv2.imwriteanimation(str(path), animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY]):
        raise SystemExit(f'{path}: cannot be written. The name must end in .webp.')
    print(f'wrote {len(animation.frames)} frames, {path.stat().st_size / 1e6:.2f} MB: {path}')


def scenes() -> Iterator[Scene]:
    """Yield the processed scenes of the sequence."""
    pipeline = PerceptionPipeline.from_preset('demo', {'depth.source': 'sensor'})
    for index, frame in enumerate(sequence(SEED, FRAMES, RENDERED_HW)):
        if index % STEP == 0:
            sensed = sense_depth(frame.depth, frame.camera, depth_sensor_rng(SEED, index))
            yield pipeline.process(
                frame.image,
                frame.camera,
                sensor_depth=partial(MetricDepth.from_millimeters, sensed),
                gravity_up=partial(getattr, frame, 'up'),
            )


def compose(scene: Scene) -> UInt8Array:
    """Arrange the results of a frame in two rows of two panels, rgb."""
    cloud = scene.cloud()
    if scene.depth is None or cloud is None:
        raise SystemExit('The preset demo computed no depth.')
    panels = {
        'objects, masks, tracks': draw_overlay(scene),
        '3D boxes': draw_boxes(scene),
        'depth, 0.4 to 1.8 m': draw_depth(scene.depth, range_m=DEPTH_RANGE_M),
        'point cloud': draw_cloud(cloud, RENDERED_HW),
    }
    tiles = [add_title(picture, title) for title, picture in panels.items()]
    rows: UInt8Array = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    return rows


def add_title(picture: UInt8Array, title: str) -> UInt8Array:
    """Shrink a picture to a panel with a title above it."""
    small = cv2.resize(picture, PANEL_WH, interpolation=cv2.INTER_AREA)
    strip = np.full((TITLE_STRIP_PX, PANEL_WH[0], 3), BACKGROUND, np.uint8)
    draw_text(strip, title, TITLE_AT, TITLE_PX, LETTERS)
    tile: UInt8Array = np.vstack([strip, small])
    return tile


def draw_boxes(scene: Scene) -> UInt8Array:
    """Draw the 3D boxes as wire frames on the darkened image."""
    canvas: UInt8Array = scene.image.rgb // 2
    if scene.camera is not None:
        for item in scene.objects:
            if item.position is not None:
                color = object_color(item)
                for start, end in project_edges(item.position.box, scene.camera):
                    cv2.line(canvas, start, end, color, 2, cv2.LINE_AA)
    return canvas


def project_edges(box: Box3D, camera: CameraModel) -> Iterator[tuple[list[int], list[int]]]:
    """Yield column and row of both ends of each edge in front of the camera."""
    rotated = (CORNERS * box.size_m) @ quaternion_to_matrix(box.rotation_xyzw).T
    pixels = camera.project(rotated + box.center_m)
    for first, second in EDGES:
        ends = pixels[[first, second]]
        if np.isfinite(ends).all():
            start, end = ends.round().astype(int).tolist()
            yield start, end


if __name__ == '__main__':
    main()
