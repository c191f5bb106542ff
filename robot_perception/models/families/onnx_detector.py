"""Detectors in ONNX files: YOLO, Faster R-CNN, SSD, RetinaNet and any other of a known layout."""

from __future__ import annotations

import torch

from robot_perception.core import Detections
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.canvas import Canvas
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.objects import select_objects
from robot_perception.models.families.onnx_metadata import complete_layout
from robot_perception.models.families.onnx_outputs import corners, read_candidates
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import Preprocessor
from robot_perception.models.resize import SizeHW
from robot_perception.models.runtimes.onnx_file import OnnxFile


class OnnxDetector:
    """Detects objects with the network of an ONNX file, one image at a time."""

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Read the file; ``input_size`` as in `build_detector`."""
        self._where = f'detector.model: {checkpoint.path}'
        self._file = file = OnnxFile(checkpoint.path, self._where)
        self._layout = layout = complete_layout(
            checkpoint.onnx_layout, file, input_size, self._where
        )
        self.class_names = layout.classes
        self._preprocessor = Preprocessor(
            lambda size_hw: size_hw, 'bilinear', layout.scale, layout.mean, layout.std
        )
        self.networks = (NamedNetwork('image', file, file),)

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Resize and normalize (B, 3, H, W) uint8 pixels: (B, 3, h, w) float32."""
        height, width = pixels.shape[-2:]
        values = self._preprocessor(self._canvas((height, width)).draw(pixels))
        return values if self._layout.channels == 'rgb' else values.flip(1)

    def read(
        self, outputs: Tensors, size_hw: SizeHW, *, threshold: float, max_objects: int
    ) -> Detections:
        """Return the objects in all outputs of the file, best first."""
        values = dict(zip(self._file.outputs, map(to_numpy, outputs), strict=True))
        found = read_candidates(values, self._layout, self._where)
        canvas = self._canvas(size_hw)
        boxes = canvas.to_image(corners(found.boxes, self._layout, canvas.input_hw))
        objects = select_objects(
            *(boxes, found.scores, found.ids, self.class_names, size_hw),
            threshold=threshold,
            max_iou=self._layout.max_iou,
        )
        return objects[:max_objects]

    def _canvas(self, size_hw: SizeHW) -> Canvas:
        height, width = (
            chosen or own for chosen, own in zip(self._layout.input_size, size_hw, strict=True)
        )
        return Canvas.fit(size_hw, (height, width), self._layout.resize)
