"""Frames as files in the formats that other programs read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
import json
import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from robot_perception.core import (
    Float32Array,
    make_folder,
    MetricDepth,
    OutputError,
    replacing_file,
    Scene,
    UInt16Array,
    write_bytes,
)
from robot_perception.viewer.coco import CocoFile
from robot_perception.viewer.files import write_picture
from robot_perception.viewer.frame_stems import FrameStems
from robot_perception.viewer.ply import write_ply

CLASSES_NAME = 'classes.json'
_MILLIMETERS_PER_METER = 1000
# The largest number of 16 bits means unknown, as 0 does.
_FARTHEST_MM = np.iinfo(np.uint16).max - 1


class Kind(Enum):
    """What can be exported; the value is also the name of its folder."""

    IMAGES = 'images'
    COCO = 'coco'
    DEPTH_PNG = 'depth_png'
    DEPTH_NPY = 'depth_npy'
    INSTANCES = 'instances'
    CLASSES = 'classes'
    SEMANTICS = 'semantics'
    CLOUDS = 'clouds'


class Exporter:
    """Writes frames into a new folder, one folder a kind; `finish` writes what spans all frames.

    Every file is there whole or not at all. What a frame lacks is not written, and counted.

    Attributes:
        written: files by kind.
        lacking: frames by kind that have no such result.
    """

    def __init__(self, folder: Path, kinds: Collection[Kind]) -> None:
        """Make the folder.

        Args:
            folder: must not exist, or be empty, so that frames of two exports do not mix.
            kinds: what to write.

        Raises:
            OutputError: something is in the folder, or it cannot be made.
        """
        _make_empty(folder)
        self._folder = folder
        self._kinds = [kind for kind in Kind if kind in kinds]
        self._coco = CocoFile()
        self._stems = FrameStems()
        self._file_names: set[str] = set()
        self._class_names: dict[int, str] = {}
        self._semantic_names: dict[int, str] = {}
        self.written = dict.fromkeys(self._kinds, 0)
        self.lacking = dict.fromkeys(self._kinds, 0)
        for kind in self._kinds:
            make_folder(folder / kind.value)

    def add(self, scene: Scene, frame: int) -> None:
        """Write a frame; see `FrameStems` for the names of its files.

        Raises:
            OutputError: a file cannot be written. Those before it stay.
        """
        stem = self._stems.add(scene, frame)
        self._class_names |= {item.class_id + 1: item.class_name for item in scene.objects}
        if scene.semantics is not None:
            self._semantic_names |= dict(enumerate(scene.semantics.class_names))
        for kind in self._kinds:
            if kind is Kind.COCO:
                self._coco.add(scene, frame, self._file_name(scene, stem))
                self.lacking[kind] += scene.detections is None
                continue
            content, write, suffix = _FILES[kind]
            value = content(scene)
            if value is None:
                self.lacking[kind] += 1
            else:
                write(value, self._folder / kind.value / f'{stem}{suffix}')
                self.written[kind] += 1

    def _file_name(self, scene: Scene, stem: str) -> str:
        """Return the name of the file of a picture; of two with one name the second is changed."""
        name = scene.image.name or f'{stem}.png'
        if name in self._file_names:
            name = f'{stem}{PurePath(name).suffix}'
        self._file_names.add(name)
        return name

    def finish(self, class_names: Mapping[int, str] | None = None) -> None:
        """Write the JSON files of COCO, and the names of the values of the class pictures.

        Args:
            class_names: index -> name of the detector's classes; None has those of the frames.

        Raises:
            OutputError: a file cannot be written.
        """
        if Kind.COCO in self._kinds:
            self.written[Kind.COCO] = len(
                self._coco.write(self._folder / Kind.COCO.value, class_names or {})
            )
        if Kind.CLASSES in self._kinds:
            every = {index + 1: name for index, name in (class_names or {}).items()}
            self._write_names(Kind.CLASSES, {0: 'background', **every, **self._class_names})
        if self.written.get(Kind.SEMANTICS):
            self._write_names(Kind.SEMANTICS, self._semantic_names)

    def _write_names(self, kind: Kind, names: Mapping[int, str]) -> None:
        text = json.dumps({str(value): names[value] for value in sorted(names)}, indent=2)
        write_bytes(self._folder / kind.value / CLASSES_NAME, f'{text}\n'.encode())


def _make_empty(folder: Path) -> None:
    """Make a folder; raise OutputError when something is in its place, or it cannot be made."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise OutputError(
                'exists',
                f'{folder}: expected no folder or an empty one, got one with files in it. '
                'Remove it, or choose another.',
            )
    elif os.path.lexists(folder):
        raise OutputError(
            'exists', f'{folder}: expected a folder, got a file. Choose another name.'
        )
    make_folder(folder)


def to_millimeters(depth: MetricDepth) -> UInt16Array:
    """Convert depth to a 16UC1 picture (REP 118).

    Returns:
        (H, W) uint16 millimeters, rounded; 0 where the depth is unknown, and where 16 bits have
        no number for it: beyond 65.534 m, and nearer than half a millimeter.
    """
    scaled = np.rint(depth.meters.astype(np.float64) * _MILLIMETERS_PER_METER)
    known = np.isfinite(scaled) & (scaled <= _FARTHEST_MM)
    return np.where(known, scaled, 0).astype(np.uint16)


def _millimeters(scene: Scene) -> UInt16Array | None:
    return to_millimeters(scene.depth) if isinstance(scene.depth, MetricDepth) else None


def _meters(scene: Scene) -> Float32Array | None:
    return scene.depth.meters if isinstance(scene.depth, MetricDepth) else None


def _instances(scene: Scene) -> UInt16Array | None:
    return None if scene.masks is None else scene.masks.instance_map()


def _classes(scene: Scene) -> UInt16Array | None:
    labels = scene.labels()
    return None if labels is None else labels[0].astype(np.uint16)


def _semantics(scene: Scene) -> UInt16Array | None:
    return None if scene.semantics is None else scene.semantics.classes


def _write_array(values: Float32Array, path: Path) -> None:
    with replacing_file(path) as part:
        np.save(part, values, allow_pickle=False)


# What a file holds of a scene, None when the scene lacks it; how it is written; its suffix.
_FILES: Mapping[Kind, tuple[Callable[[Scene], Any], Callable[[Any, Path], None], str]] = {
    Kind.IMAGES: (lambda scene: scene.image.rgb, write_picture, '.png'),
    Kind.DEPTH_PNG: (_millimeters, write_picture, '.png'),
    Kind.DEPTH_NPY: (_meters, _write_array, '.npy'),
    Kind.INSTANCES: (_instances, write_picture, '.png'),
    Kind.CLASSES: (_classes, write_picture, '.png'),
    Kind.SEMANTICS: (_semantics, write_picture, '.png'),
    Kind.CLOUDS: (Scene.cloud, write_ply, '.ply'),
}
