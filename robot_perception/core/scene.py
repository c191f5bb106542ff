"""The results of one frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import math
import os
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from robot_perception.core.arrays import UInt8Array, UInt32Array
from robot_perception.core.atomic import make_folder, write_bytes
from robot_perception.core.box3d import Box3D
from robot_perception.core.camera import CameraModel
from robot_perception.core.depth import Depth, MetricDepth, RelativeDepth
from robot_perception.core.depth_fit import DepthFit
from robot_perception.core.detections import Detections
from robot_perception.core.enums import DepthSource
from robot_perception.core.errors import requires, ShapeError
from robot_perception.core.features import SceneFeatures
from robot_perception.core.image import Image
from robot_perception.core.labeled_points import LabeledPoints
from robot_perception.core.masks import Masks
from robot_perception.core.plane import Plane
from robot_perception.core.pointcloud import lift_image, PointCloud
from robot_perception.core.scene_classes import SceneClasses
from robot_perception.core.scene_object import ObjectPosition, SceneObject
from robot_perception.core.semantics import Semantics
from robot_perception.core.serialization import encode_values, read_values
from robot_perception.core.value import ArrayValue, format_size, NotebookImage

_FILE = 'scene.npz'
# What a saved scene may consist of.
_TYPES: dict[str, Callable[..., object]] = {
    **{
        kind.__name__: kind
        for kind in (
            *(Box3D, CameraModel, DepthFit, Detections, Image, Masks, MetricDepth, Plane),
            *(RelativeDepth, SceneClasses, SceneFeatures, SceneObject, Semantics),
        )
    },
    ObjectPosition.__name__: ObjectPosition.from_saved,
}


@dataclass(frozen=True, slots=True, eq=False)
class Scene(ArrayValue, NotebookImage):
    """All results of one frame.

    The results of a stage that was disabled, or skipped for this frame, are None: a result never
    comes from another frame than `image`.

    Notebooks display a scene as its overlay. Scenes compare by value, and copies are equal:

    >>> import copy
    >>> scene = Scene(Image(np.zeros((480, 640, 3), np.uint8)), timing_s={'pipeline': 0.05})
    >>> scene, copy.deepcopy(scene) == scene
    (Scene(640x480, 50 ms), True)

    Attributes:
        image: the frame, with its stamp and coordinate frame.
        camera: calibration of the image, None without a usable one.
        features: embedding of the scene.
        depth: depth of every pixel, metric or relative, at the image's size.
        detections: detected objects.
        masks: one mask for each detection, at the image's size.
        objects: one entry for each detection, with its position in 3D.
        depth_source: where `depth` of this frame comes from; None without depth, or unknown.
        depth_fit: how the network's depth was scaled to a sensor's meters, None if it was not.
        ground: ground plane below the camera, None if not estimated or not found.
        semantics: class of every pixel, at the image's size.
        scene_classes: classes of the whole image.
        timing_s: seconds that each stage took, and ``pipeline`` for the whole, which is less than
            the sum where stages ran in parallel.
        backends: runtime and precision that computed each stage, such as ``openvino fp32``; empty
            if unknown.
    """

    image: Image
    camera: CameraModel | None = None
    features: SceneFeatures | None = None
    depth: Depth | None = None
    detections: Detections | None = None
    masks: Masks | None = None
    objects: tuple[SceneObject, ...] = ()
    depth_source: DepthSource | None = None
    depth_fit: DepthFit | None = None
    ground: Plane | None = None
    semantics: Semantics | None = None
    scene_classes: SceneClasses | None = None
    timing_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    backends: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in ('depth', 'masks', 'camera', 'semantics'):
            part = getattr(self, name)
            if part is not None and part.size_hw != self.image.size_hw:
                raise ShapeError(
                    'size_mismatch',
                    f'{name}: expected the size of the image {self.image.size_hw}, '
                    f'got {part.size_hw} (rows, columns).',
                )
        count = 0 if self.detections is None else len(self.detections)
        for name, parts in (('masks', self.masks), ('objects', self.objects)):
            if parts is not None and len(parts) != count:
                raise ShapeError(
                    'count_mismatch',
                    f'{name}: expected one for each of {count} detections, got {len(parts)}.',
                )
        if self.depth_source is not None:
            object.__setattr__(self, 'depth_source', DepthSource(self.depth_source))
        for name in ('timing_s', 'backends'):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __repr__(self) -> str:
        """Return one line that lists the results."""
        image, seconds = self.image, self.timing_s.get('pipeline')
        parts = [
            format_size(image.size_hw),
            f'stamp_ns={image.stamp_ns}' if image.stamp_ns else None,
            f'frame_id={image.frame_id!r}' if image.frame_id else None,
            None if self.camera is None else 'camera',
            None if self.features is None else 'features',
            'metric depth' if isinstance(self.depth, MetricDepth) else None,
            'relative depth' if isinstance(self.depth, RelativeDepth) else None,
            None if self.detections is None else repr(self.detections),
            None if self.masks is None else 'masks',
            None if self.ground is None else 'ground',
            None if self.semantics is None else 'semantics',
            None if self.scene_classes is None else repr(self.scene_classes),
            None if seconds is None else f'{1000 * seconds:.0f} ms',
        ]
        return f'Scene({", ".join(part for part in parts if part is not None)})'

    def _draw(self) -> UInt8Array:
        with requires('opencv-python-headless'):
            from robot_perception.viewer import draw_overlay
        return draw_overlay(self)

    def show(self) -> None:
        """Open the overlay of the results on the image in the image viewer of the system."""
        with requires('pillow'):
            from PIL import Image as Pillow
        Pillow.fromarray(self._draw()).show()

    def to_dict(self) -> dict[str, Any]:
        """Return the results as a dict for JSON, with the keys of scene.json."""
        with requires('opencv-python-headless'):
            from robot_perception.viewer import scene_to_dict
        return scene_to_dict(self)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the scene to a folder: exact values, a description and the overlay.

        Files of the same names are replaced: ``scene.npz``, which `load` reads, ``scene.json``,
        which holds `to_dict`, and ``overlay.png``.

        Raises:
            OutputError: a file cannot be written.
        """
        with requires('opencv-python-headless'):
            from robot_perception.viewer import write_scene_json
        target = Path(folder)
        make_folder(target)
        write_scene_json(self, target / 'scene.json')
        write_bytes(target / 'overlay.png', self._repr_png_())
        write_bytes(target / _FILE, encode_values(self))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Scene:
        """Read a scene that `save` wrote; it is equal to the saved one.

        Raises:
            SourceError: reason ``'missing_file'`` or ``'damaged'``.
        """
        return read_values(Path(folder) / _FILE, cls, _TYPES | {cls.__name__: cls})

    def labels(self) -> tuple[UInt32Array, UInt32Array] | None:
        """Return the class and instance of each pixel; None without masks.

        Returns:
            (H, W) uint32 class id + 1 and (H, W) uint32 index in the detections + 1, both 0 for
            background.
        """
        if self.masks is None or self.detections is None:
            return None
        instances = self.masks.instance_map().astype(np.uint32)
        table = np.concatenate(
            [np.zeros(1, np.uint32), (self.detections.class_ids + 1).view(np.uint32)]
        )
        return table[instances], instances

    def object_points(self) -> LabeledPoints | None:
        """Return the points on masks; None without masks, metric depth or calibration."""
        return self._points(of_objects=True)

    def background_points(self) -> LabeledPoints | None:
        """Return the points on no mask; None without masks, metric depth or calibration."""
        return self._points(of_objects=False)

    def _points(self, *, of_objects: bool) -> LabeledPoints | None:
        cloud, labels = self.cloud(), self.labels()
        if cloud is None or labels is None:
            return None
        return LabeledPoints.from_cloud(cloud, *labels, of_objects=of_objects)

    def cloud(self, *, max_points: int | None = None) -> PointCloud | None:
        """Return the organized point cloud; None without metric depth or calibration.

        Of more pixels than ``max_points``, those of every second, third ... row and column.
        """
        if self.camera is None or not isinstance(self.depth, MetricDepth):
            return None
        step = 1
        if max_points is not None:
            height, width = self.image.size_hw
            step = math.isqrt(max(1, -(-height * width // max_points)) - 1) + 1
        return lift_image(self.image, self.depth, self.camera, step=step)
