"""Frames as a page for a browser: one at a time, beside its ground truth or its image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
import itertools
import json
from pathlib import Path

import numpy as np

from robot_perception.core import (
    Box3D,
    make_folder,
    MetricDepth,
    NANOSECONDS_PER_SECOND,
    object_color,
    quaternion_to_matrix,
    Scene,
    SceneObject,
    UInt8Array,
    Vector3,
    write_bytes,
)
from robot_perception.viewer.depth import depth_range, draw_depth
from robot_perception.viewer.features import draw_features
from robot_perception.viewer.files import encode_jpeg
from robot_perception.viewer.frame_stems import FrameStems
from robot_perception.viewer.overlay import draw_overlay
from robot_perception.viewer.page import Link, render, Step
from robot_perception.viewer.page_cloud import encode_cloud
from robot_perception.viewer.scale import depth_table
from robot_perception.viewer.scene_json import JsonValue
from robot_perception.viewer.table import Table

_INDEX = 'index.html'
_FRAMES = 'frames'
_MILLISECONDS = 1e3
_METER_DIGITS = 3
_GRADIENT_STEPS = 9
# Pictures of a frame -> name of their button.
_KINDS = {'objects': 'Objects', 'depth': 'Depth', 'features': 'Features'}


class Gallery:
    """Writes the pictures and data of scenes; `finish` writes the page that shows them."""

    def __init__(
        self, folder: Path, title: str, notes: Sequence[str], *, caption: str = ''
    ) -> None:
        """Make the folder if it is missing.

        Args:
            folder: of the page; the frames are in its folder ``frames``, where files of the same
                name are replaced.
            title: of the page, plain text.
            notes: paragraphs below the title, plain text.
            caption: written on the overlays of predictions, empty for none.

        Raises:
            OutputError: the folder cannot be made.
        """
        self._folder = folder
        make_folder(folder / _FRAMES)
        self._title = title
        self._notes = notes
        self._caption = caption
        self._frames: list[dict[str, JsonValue]] = []
        self._shown: set[str] = set()
        self._stems = FrameStems()

    def add(self, scene: Scene, frame: int, truth: Scene | None = None) -> None:
        """Write the files of a frame.

        Args:
            scene: the prediction.
            frame: number of the frame.
            truth: ground truth of the same image, None if it is unknown.

        Raises:
            OutputError: a file cannot be written. Those before it stay; none is half-written.
        """
        stem = self._stems.add(scene, frame)
        folder = self._folder / _FRAMES / stem
        make_folder(folder)
        pictures: list[str] = []
        for name, picture in _pictures(scene, truth, self._caption):
            write_bytes(folder / f'{name}.jpg', encode_jpeg(picture))
            pictures.append(name)
        self._shown.update(pictures)
        data = _frame_data(scene, truth)
        # A script, because browsers read no other data from files.
        text = json.dumps(data, allow_nan=False, separators=(',', ':'))
        script = f'frameLoaded({len(self._frames)},{text});\n'
        write_bytes(folder / 'frame.js', script.encode())
        height, width = scene.image.size_hw
        self._frames.append(
            {
                'folder': f'{_FRAMES}/{stem}',
                'name': scene.image.name or f'frame {frame}',
                'when': _when(scene),
                'summary': _summary(scene),
                'truth': None if truth is None else _summary(truth),
                'pictures': pictures,
                'size': [width, height],
                'cloud': data['cloud'] is not None,
            }
        )

    def finish(
        self,
        *,
        lead: str = '',
        tables: Sequence[Table] = (),
        links: Sequence[Link] = (),
        steps: Sequence[Step] = (),
    ) -> Path:
        """Write the page, which needs no network and no file but those of the frames.

        Args:
            lead: what the results amount to, in one sentence; plain text, empty for none.
            tables: shown on request.
            links: other files in the folder.
            steps: commands to try next, at the end of the page.

        Returns:
            Path of the page.

        Raises:
            OutputError: it cannot be written.
        """
        colors = depth_table()[:: 256 // _GRADIENT_STEPS]
        text = render(
            'frames.html.j2',
            title=self._title,
            lead=lead,
            notes=self._notes,
            frames=self._frames,
            kinds={kind: name for kind, name in _KINDS.items() if kind in self._shown},
            has_truth=any(frame['truth'] is not None for frame in self._frames),
            gradient=', '.join(f'rgb({red} {green} {blue})' for red, green, blue in colors),
            tables=tables,
            links=links,
            steps=steps,
        )
        page = self._folder / _INDEX
        write_bytes(page, text.encode())
        return page


def _pictures(scene: Scene, truth: Scene | None, caption: str) -> Iterator[tuple[str, UInt8Array]]:
    """Yield the name and picture of everything to show of a frame."""
    yield 'objects', draw_overlay(scene, caption=caption)
    range_m = None if truth is None else depth_range(truth.depth)
    if scene.depth is not None:
        metric = isinstance(scene.depth, MetricDepth)
        yield 'depth', draw_depth(scene.depth, range_m=range_m if metric else None)
    # Recorded features have their patches only where these were asked for.
    if scene.features is not None and scene.features.patches.size:
        yield 'features', draw_features(scene.features, scene.image.size_hw)
    yield 'image', scene.image.rgb
    if truth is not None:
        yield 'truth_objects', draw_overlay(truth)
        if truth.depth is not None:
            yield 'truth_depth', draw_depth(truth.depth, range_m=range_m)


def _frame_data(scene: Scene, truth: Scene | None) -> dict[str, JsonValue]:
    """Return what the page shows of a frame besides its pictures."""
    cloud = scene.cloud()
    range_m = depth_range(scene.depth if truth is None else truth.depth)
    return {
        'objects': [_object(item) for item in scene.objects],
        'truth': [] if truth is None else [_object(item) for item in truth.objects],
        'range': None if range_m is None else _rounded(range_m),
        'times': [
            [stage, round(seconds * _MILLISECONDS, 1)] for stage, seconds in scene.timing_s.items()
        ],
        'cloud': None if cloud is None else encode_cloud(cloud),
    }


def _object(item: SceneObject) -> dict[str, JsonValue]:
    track = '' if item.track_id is None else f' #{item.track_id}'
    position = item.position
    return {
        'name': f'{item.class_name}{track}',
        'score': round(float(item.score), 2),
        'color': list(object_color(item)),
        'size': None if position is None else _rounded(position.box.size_m),
        'place': None if position is None else _rounded(position.centroid_m),
        'velocity': None
        if position is None or position.velocity_mps is None
        else _rounded(position.velocity_mps),
        'corners': None
        if position is None
        else [_rounded(corner) for corner in _corners_m(position.box)],
    }


def _corners_m(box: Box3D) -> list[Vector3]:
    """Return the eight corners: at the low end of x before the high one, then of y, then of z."""
    signs = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    turned = signs * box.size_m @ quaternion_to_matrix(box.rotation_xyzw).T
    return [(x, y, z) for x, y, z in (turned + box.center_m).tolist()]


def _rounded(values: Sequence[float]) -> list[JsonValue]:
    return [round(float(value), _METER_DIGITS) for value in values]


def _when(scene: Scene) -> str:
    stamp_ns = scene.image.stamp_ns
    return f'{stamp_ns / NANOSECONDS_PER_SECOND:.3f} s' if stamp_ns else ''


def _summary(scene: Scene) -> str:
    """Count the objects of each class, the most frequent first."""
    if scene.detections is None:
        return 'no detections'
    counts = Counter(sorted(item.class_name for item in scene.objects))
    words = (
        name if count == 1 else f'{name} \N{MULTIPLICATION SIGN} {count}'
        for name, count in counts.most_common()
    )
    return ', '.join(words) or 'no object'
