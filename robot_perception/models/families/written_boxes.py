"""Boxes that networks for images and text write into their answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import json
import re

import numpy as np

from robot_perception.core import clip_xyxy, Detections
from robot_perception.models.resize import SizeHW

_LABELED_BOX = tuple[str, tuple[float, ...]]
# PaliGemma: <loc0123>, four times, top, left, bottom and right in 1024ths, then the name.
_LOCATIONS = re.compile(r'((?:<loc\d{4}>){4})\s*([^;<]*)')
_LOCATION = re.compile(r'<loc(\d{4})>')
# InternVL: <ref>name</ref><box>[[left, top, right, bottom], ...]</box>, in thousandths. Qwen2-VL:
# <|object_ref_start|>name<|object_ref_end|><|box_start|>(left,top),(right,bottom)<|box_end|>.
_TAGGED = re.compile(
    r'(?:<(?:ref|\|object_ref_start\|)>(?P<name>[^<]*)<(?:/ref|\|object_ref_end\|)>\s*)?'
    r'<(?:box|\|box_start\|)>(?P<box>[^<]*)<(?:/box|\|box_end\|)>'
)
# Qwen2.5-VL and later: JSON objects {"bbox_2d": [left, top, right, bottom], "label": name}, in a
# list whose end is missing where the answer was cut.
_JSON_OBJECT = re.compile(r'\{[^{}]*\}')
_BOX, _LABEL = 'bbox_2d', 'label'
_NUMBER = re.compile(r'-?\d+(?:\.\d+)?')
_SIDES = 4
_THOUSANDTHS, _LOCATION_STEPS = 1000, 1024
_MAX_PIXELS = 10**6


def read_written_boxes(text: str, size_hw: SizeHW, json_hw: SizeHW) -> Detections:
    """Read the boxes in an answer.

    Args:
        text: the answer with its special tokens.
        size_hw: rows and columns of the image.
        json_hw: rows and columns that boxes in JSON refer to.

    Returns:
        Boxes in pixels of the image, with score 1; empty if the answer has none.
    """
    height, width = size_hw
    boxes = [
        *_scaled(_located(text), (_LOCATION_STEPS, _LOCATION_STEPS), size_hw),
        *_scaled(_tagged(text), (_THOUSANDTHS, _THOUSANDTHS), size_hw),
        *_scaled(_listed(text), json_hw, size_hw),
    ]
    return to_detections(boxes, (height, width))


def to_detections(boxes: Iterable[_LABELED_BOX], size_hw: SizeHW) -> Detections:
    """Return named boxes (left, top, right, bottom in pixels) as detections with score 1.

    Boxes are clipped to the image; those without area in it are left out. Class ids number the
    names in order of their appearance.
    """
    rows = [(name.strip(), box) for name, box in boxes]
    if not rows:
        return Detections.empty()
    clipped = clip_xyxy(np.array([box for _, box in rows], np.float32), size_hw)
    kept = [index for index, (x1, y1, x2, y2) in enumerate(clipped) if x2 > x1 and y2 > y1]
    names = tuple(rows[index][0] for index in kept)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return Detections(
        clipped[kept].reshape(-1, _SIDES),
        np.ones(len(kept), np.float32),
        np.array([numbers[name] for name in names], np.int32),
        names,
    )


def _scaled(
    boxes: Iterable[_LABELED_BOX], from_hw: SizeHW, to_hw: SizeHW
) -> Iterator[_LABELED_BOX]:
    scale = [to_hw[1] / from_hw[1], to_hw[0] / from_hw[0]] * 2
    for name, box in boxes:
        yield name, tuple(side * factor for side, factor in zip(box, scale, strict=True))


def _located(text: str) -> Iterator[_LABELED_BOX]:
    for match in _LOCATIONS.finditer(text):
        top, left, bottom, right = (float(one) for one in _LOCATION.findall(match[1]))
        yield match[2], (left, top, right, bottom)


def _tagged(text: str) -> Iterator[_LABELED_BOX]:
    for match in _TAGGED.finditer(text):
        numbers = [float(one) for one in _NUMBER.findall(match['box'])]
        for first in range(0, len(numbers) - _SIDES + 1, _SIDES):
            yield match['name'] or '', tuple(numbers[first : first + _SIDES])


def _listed(text: str) -> Iterator[_LABELED_BOX]:
    for match in _JSON_OBJECT.finditer(text):
        try:
            item = json.loads(match[0])
        except ValueError:
            continue
        box = item.get(_BOX)
        if (
            isinstance(box, list)
            and len(box) == _SIDES
            and all(type(side) in {int, float} and abs(side) < _MAX_PIXELS for side in box)
        ):
            yield str(item.get(_LABEL, '')), tuple(map(float, box))
