"""Frames as a page for a browser: one at a time, beside its ground truth or its image."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path

from robot_perception.core import make_folder, NANOSECONDS_PER_SECOND, Scene, write_bytes
from robot_perception.viewer.files import encode_jpeg
from robot_perception.viewer.frame_data import frame_data, frame_pictures, summarize
from robot_perception.viewer.frame_stems import FrameStems
from robot_perception.viewer.page import Link, render, Step
from robot_perception.viewer.scale import depth_gradient
from robot_perception.viewer.scene_json import JsonValue
from robot_perception.viewer.table import Table

_INDEX = 'index.html'
_FRAMES = 'frames'
# Pictures of a frame -> name of their button.
_KINDS = {
    'objects': 'Objects',
    'depth': 'Depth',
    'features': 'Features',
    'semantics': 'Classes of pixels',
}


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
        for name, picture in frame_pictures(scene, truth, self._caption):
            write_bytes(folder / f'{name}.jpg', encode_jpeg(picture))
            pictures.append(name)
        self._shown.update(pictures)
        data = frame_data(scene, truth)
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
                'summary': summarize(scene),
                'truth': None if truth is None else summarize(truth),
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
        text = render(
            'frames.html.j2',
            title=self._title,
            lead=lead,
            notes=self._notes,
            frames=self._frames,
            kinds={kind: name for kind, name in _KINDS.items() if kind in self._shown},
            has_truth=any(frame['truth'] is not None for frame in self._frames),
            gradient=depth_gradient(),
            tables=tables,
            links=links,
            steps=steps,
        )
        page = self._folder / _INDEX
        write_bytes(page, text.encode())
        return page


def _when(scene: Scene) -> str:
    stamp_ns = scene.image.stamp_ns
    return f'{stamp_ns / NANOSECONDS_PER_SECOND:.3f} s' if stamp_ns else ''
