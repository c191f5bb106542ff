"""Detections and masks in the JSON of COCO, for the tools that read it.

Two forms exist and both are written: a data set, with images, categories and annotations, which
labeling tools and trainers read; and results, a bare list with scores, which evaluations load
beside the data set of the truth. Boxes are left, top, width, height in pixels. Masks are
compressed run lengths, exact with holes and with several parts. Format: cocodataset.org.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
import json
from pathlib import Path

import numpy as np

from robot_perception.core import BoolArray, clip_xyxy, encode_rle, Scene, SceneObject, write_bytes
from robot_perception.viewer.scene_json import JsonValue

DATASET_NAME, RESULTS_NAME = 'annotations.json', 'results.json'
_PIXEL_DIGITS, _SCORE_DIGITS = 2, 4


class CocoFile:
    """Collects frames; memory grows by their annotations, a few hundred bytes an object."""

    def __init__(self) -> None:
        """Start without frames."""
        self._images: list[JsonValue] = []
        self._annotations: list[dict[str, JsonValue]] = []
        self._names: dict[int, str] = {}

    def add(self, scene: Scene, image_id: int, file_name: str) -> None:
        """Take a frame.

        Args:
            scene: without detections it is an image with nothing on it.
            image_id: number of the frame, >= 0 and never the same again.
            file_name: name of its picture, relative to the folder of the pictures.
        """
        height, width = scene.image.size_hw
        self._images.append(
            {
                'id': image_id,
                'file_name': file_name,
                'width': width,
                'height': height,
                'stamp_ns': scene.image.stamp_ns,
                'frame_id': scene.image.frame_id,
            }
        )
        for item in scene.objects:
            self._names.setdefault(item.class_id, item.class_name)
            mask = None if scene.masks is None else scene.masks.pixels[item.index]
            # Evaluations take an id of 0 for none.
            number = len(self._annotations) + 1
            self._annotations.append(
                {'id': number, 'image_id': image_id, **_annotation(item, mask, (height, width))}
            )

    def dataset(self, class_names: Mapping[int, str]) -> dict[str, JsonValue]:
        """Return the data set: images, categories and annotations with scores.

        Categories are the detector's classes, index -> name, also those without an annotation.
        Names that several classes have are those of unused indices.
        """
        counts = Counter(class_names.values())
        names = {index: name for index, name in class_names.items() if counts[name] == 1}
        names |= self._names
        return {
            'info': {'description': 'Predictions of robot_perception'},
            'images': self._images,
            'categories': [{'id': number, 'name': name} for number, name in sorted(names.items())],
            'annotations': self._annotations,
        }

    def results(self) -> list[JsonValue]:
        """Return the results that ``COCO.loadRes`` of pycocotools reads."""
        kept = ('image_id', 'category_id', 'bbox', 'score', 'segmentation')
        return [
            {key: annotation[key] for key in kept if key in annotation}
            for annotation in self._annotations
        ]

    def write(self, folder: Path, class_names: Mapping[int, str] | None = None) -> list[Path]:
        """Write both forms; see `dataset`.

        Raises:
            OutputError: a file cannot be written; it is not there then.
        """
        paths = [folder / DATASET_NAME, folder / RESULTS_NAME]
        for path, content in zip(
            paths, (self.dataset(class_names or {}), self.results()), strict=True
        ):
            text = json.dumps(content, ensure_ascii=False, allow_nan=False)
            write_bytes(path, (text + '\n').encode())
        return paths


def _annotation(
    item: SceneObject, mask: BoolArray | None, size_hw: tuple[int, int]
) -> dict[str, JsonValue]:
    (box,) = clip_xyxy(np.array([item.box_xyxy], np.float32), size_hw).tolist()
    left, top, right, bottom = box
    box_xywh = [round(value, _PIXEL_DIGITS) for value in (left, top, right - left, bottom - top)]
    annotation: dict[str, JsonValue] = {
        'category_id': item.class_id,
        'bbox': box_xywh,
        'area': round((right - left) * (bottom - top), _PIXEL_DIGITS),
        'iscrowd': 0,
        'score': round(item.score, _SCORE_DIGITS),
    }
    if item.track_id is not None:
        annotation['track_id'] = item.track_id
    if mask is not None:
        annotation['area'] = int(mask.sum())
        annotation['segmentation'] = {'size': list(size_hw), 'counts': encode_rle(mask)}
    return annotation
