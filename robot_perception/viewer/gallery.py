"""Scenes as pages for a browser: one a frame, and one with all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from robot_perception.core import make_folder, NANOSECONDS_PER_SECOND, Scene
from robot_perception.viewer.export import new_folder
from robot_perception.viewer.files import write_pictures
from robot_perception.viewer.frame_stems import FrameStems
from robot_perception.viewer.page import Figure, write_page
from robot_perception.viewer.table import Table

_MILLISECONDS = 1e3
_STEM = 'scene'
_CAPTIONS = {
    'overlay': 'Objects: boxes, masks and names',
    'depth': 'Depth of every pixel',
    'cloud': 'The point cloud, seen from the side',
    'features': 'Scene features, three principal components as colors',
    'instances': 'Instance masks',
}


class Gallery:
    """Writes a page for each scene into a new folder; `finish` writes the one that lists them."""

    def __init__(
        self, folder: Path, title: str, notes: Sequence[str], *, caption: str = ''
    ) -> None:
        """Make the folder, which must not exist, or be empty.

        The title of the pages and the notes, paragraphs below it, are plain text. The
        caption is written on the overlays.

        Raises:
            OutputError: something is in the folder, or it cannot be made.
        """
        new_folder(folder)
        self._folder = folder
        self._title = title
        self._notes = notes
        self._caption = caption
        self._figures: list[Figure] = []
        self._stems = FrameStems()

    def add(self, scene: Scene, frame: int) -> None:
        """Write the page of a scene.

        Raises:
            OutputError: a file cannot be written. Those before it stay; none is half-written.
        """
        name = self._stems.add(scene, frame)
        picture = scene.image.name
        folder = self._folder / name
        make_folder(folder)
        files = write_pictures(scene, folder, _STEM, caption=self._caption)
        summary = _summary(scene)
        write_page(
            folder,
            f'{self._title}, {picture or f"frame {frame}"}',
            scene_figures(files, _STEM),
            scene_tables(scene),
            [f'{"" if picture else _when(scene)}{summary}.'],
            parent='../index.html',
        )
        self._figures.append(
            Figure(
                f'{name}/{files[0].name}',
                f'{picture or frame}: {summary}',
                f'{picture or f"Frame {frame}"} with {summary}',
                f'{name}/index.html',
            )
        )

    def finish(self) -> Path:
        """Write the page that lists the frames, and give its path.

        Raises:
            OutputError: it cannot be written.
        """
        return write_page(self._folder, self._title, self._figures, [], self._notes)


def scene_figures(files: Sequence[Path], stem: str) -> list[Figure]:
    """Caption the pictures that `write_scene` made under ``stem``, in their order."""
    kinds = ((path, path.stem.removeprefix(f'{stem}_')) for path in files if path.suffix == '.png')
    return [Figure(path.name, _CAPTIONS[kind], _CAPTIONS[kind]) for path, kind in kinds]


def scene_tables(scene: Scene) -> tuple[Table, Table]:
    """List the objects of a scene and the times of its stages."""
    return (
        Table(
            'Objects',
            ('class', 'score', 'depth / m', 'track'),
            tuple(
                (item.class_name, item.score, item.depth_m, item.track_id)
                for item in scene.objects
            ),
        ),
        Table(
            'Times',
            ('stage', 'ms'),
            tuple((stage, seconds * _MILLISECONDS) for stage, seconds in scene.timing_s.items()),
        ),
    )


def _when(scene: Scene) -> str:
    stamp_ns = scene.image.stamp_ns
    return f'Stamp {stamp_ns / NANOSECONDS_PER_SECOND:.3f} s. ' if stamp_ns else ''


def _summary(scene: Scene) -> str:
    """Count the objects of each class, the most frequent first."""
    if scene.detections is None:
        return 'no detections'
    counts = Counter(item.class_name for item in scene.objects)
    return ', '.join(f'{count} {name}' for name, count in counts.most_common()) or 'no object'
