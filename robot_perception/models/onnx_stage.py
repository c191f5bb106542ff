"""The detector stage of ONNX files, which ONNX Runtime computes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.core import Detections, Image
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.device import choose_device
from robot_perception.models.runtimes import TORCH
from robot_perception.models.runtimes.onnx_file import OnnxFile
from robot_perception.models.stages import NetworkDetector
from robot_perception.models.uploaded_image import UploadedImage

_RUNTIME = 'onnxruntime'
_GRAY_HW = (480, 640)


class NetworkOnnxDetector(NetworkDetector):
    """Detects objects with an ONNX file.

    It is computed with ONNX Runtime, in the precision of the file, whatever the parameters. Images
    are prepared and outputs are read on the CPU, one image at a time.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = 'auto',
        precision: str = 'auto',
        runtime: str = 'auto',
        input_size: int = 0,
        small_inputs: bool = False,
    ) -> None:
        """Load the file and compute a gray image, since only that shows shapes of all outputs.

        Arguments as of `NetworkStage`.
        """
        target = choose_device(device, 'fp32').device
        super().__init__(
            checkpoint,
            device='cpu',
            precision='fp32',
            runtime=TORCH,
            input_size=input_size,
            small_inputs=small_inputs,
        )
        self._file: OnnxFile = self.family.networks[0].network
        problems = []
        if runtime not in ('auto', _RUNTIME):
            problems.append(f'it is computed with {_RUNTIME}, not with {runtime}')
        if precision not in ('auto', self._file.precision):
            problems.append(f'it has {self._file.precision}, not {precision}')
        if target.type != 'cpu':
            reason = self._file.move(target)
            problems += [f'it is computed on the CPU, not on {target} ({reason})'] * bool(reason)
        if problems:
            self._problem = f'{self.task}: of the ONNX file: {"; ".join(problems)}.'
        gray = Image(np.full((*_GRAY_HW, 3), 128, np.uint8))
        self.detect(UploadedImage(gray), threshold=0, max_objects=1)

    @property
    def backend(self) -> str:
        """Runtime and precision."""
        return f'{_RUNTIME} {self._file.precision}'

    def detect_many(
        self, images: Sequence[UploadedImage], *, threshold: float, max_objects: int
    ) -> list[Detections]:
        """Return the objects of images of one size, computed one after another."""
        with self._computing():
            return [
                self.family.read(
                    self._networks('image', self.prepare(image)),
                    image.size_hw,
                    threshold=threshold,
                    max_objects=max_objects,
                )
                for image in images
            ]
