"""The place of an image in an input of a fixed size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Float32Array
from robot_perception.models.onnx_layout import CORNER, LETTERBOX
from robot_perception.models.resize import SizeHW

# The gray that YOLO is trained with.
_GRAY = 114


@dataclass(frozen=True, slots=True)
class Canvas:
    """An input, and the rectangle of it that the resized image fills.

    Attributes:
        size_hw: rows and columns of the image, pixels.
        input_hw: rows and columns of the input.
        resized_hw: rows and columns of the rectangle.
        top: rows above it.
        left: columns at its left.
    """

    size_hw: SizeHW
    input_hw: SizeHW
    resized_hw: SizeHW
    top: int = 0
    left: int = 0

    @classmethod
    def fit(cls, size_hw: SizeHW, input_hw: SizeHW, resize: str) -> Canvas:
        """Place an image of ``size_hw`` by the key ``resize`` of an `OnnxLayout`."""
        if resize not in {LETTERBOX, CORNER}:
            return cls(size_hw, input_hw, input_hw)
        scale = min(input_hw[0] / size_hw[0], input_hw[1] / size_hw[1])
        rows, columns = (max(1, round(length * scale)) for length in size_hw)
        if resize == CORNER:
            return cls(size_hw, input_hw, (rows, columns))
        top, left = (input_hw[0] - rows) // 2, (input_hw[1] - columns) // 2
        return cls(size_hw, input_hw, (rows, columns), top, left)

    def draw(self, pixels: torch.Tensor) -> torch.Tensor:
        """Resize (B, 3, H, W) uint8 pixels without antialiasing, as OpenCV, on gray."""
        if self.resized_hw != self.size_hw:
            pixels = functional.interpolate(
                pixels, self.resized_hw, mode='bilinear', align_corners=False
            )
        rows, columns = (
            whole - part for whole, part in zip(self.input_hw, self.resized_hw, strict=True)
        )
        sides = (self.left, columns - self.left, self.top, rows - self.top)
        return functional.pad(pixels, sides, value=_GRAY)

    def to_image(self, boxes_xyxy: Float32Array) -> Float32Array:
        """Return (N, 4) boxes in pixels of the input as boxes in pixels of the image."""
        (height, width), (rows, columns) = self.size_hw, self.resized_hw
        scales = np.array([columns / width, rows / height] * 2, np.float32)
        offset = np.array([self.left, self.top] * 2, np.float32)
        boxes: Float32Array = (boxes_xyxy - offset) / scales
        return boxes
