"""Files that ONNX Runtime computes as they are, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
import re
from typing import Any

import numpy as np
import torch

from robot_perception.core import ModelError, requires, WeightsInvalidError
from robot_perception.models.device import DeviceSpec
from robot_perception.models.families.interfaces import Tensors
from robot_perception.models.resize import SizeHW
from robot_perception.models.runtimes.onnxruntime import choose_providers, start_session

# Of outputs that numpy holds.
_NUMBERS = re.compile(r'tensor\((float16|float|double|u?int(8|16|32|64)|bool)\)')
_TYPES = {'tensor(float)': 'fp32', 'tensor(float16)': 'fp16', 'tensor(uint8)': 'uint8'}
_DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'uint8': torch.uint8}
_CPU = DeviceSpec(torch.device('cpu'), 'fp32')
_CHANNELS = 3
_MAX_TEXT = 300


class OnnxFile(torch.nn.Module):
    """An ONNX file of one input, which is an image.

    Attributes:
        size_hw: rows and columns of the input, pixels; 0 = any.
        takes_bytes: whether the input is of 8-bit values.
        precision: ``fp16`` if the input has it, otherwise ``fp32``.
        outputs: name of each output of numbers -> its shape, None for a length that it does not
            state. Others, as of text, are not computed.
        metadata: what the exporter wrote.
    """

    def __init__(self, path: Path, where: str) -> None:
        """Read a file for the CPU.

        Args:
            path: of the file.
            where: begins the message of an error.

        Raises:
            MissingLibraryError: ONNX Runtime is not installed.
            WeightsInvalidError: it cannot be read, has other inputs, or no output of numbers.
        """
        super().__init__()
        self._path, self._where = str(path), where
        with requires('"robot_perception[onnx]"'):
            import onnxruntime  # noqa: PLC0415 - optional
        try:
            self._session = start_session(self._path, choose_providers(_CPU, ()))
        except Exception as error:
            text = _one_line(error)
            is_newer = any(word in text for word in ('Opset', 'IR version'))
            raise WeightsInvalidError(
                'unsupported_version' if is_newer else 'damaged',
                f'{where}: ONNX Runtime {onnxruntime.__version__} cannot read it ({text}). '
                + (
                    'Export it with an older opset, such as 17, or install a newer onnxruntime.'
                    if is_newer
                    else 'It is damaged, or needs operators that are missing; export it again.'
                ),
            ) from error
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._read_input()
        outputs = self._session.get_outputs()
        self.outputs = {
            one.name: tuple(_length(length) for length in one.shape)
            for one in outputs
            if _NUMBERS.fullmatch(one.type)
        }
        if not self.outputs:
            found = ', '.join(f'{one.name} {one.type}' for one in outputs) or 'none'
            raise WeightsInvalidError(
                'unsupported_output',
                f'{self._where}: expected outputs that are tensors of numbers, got {found}. '
                'Export it with boxes and scores as numbers.',
            )

    def _read_input(self) -> None:
        inputs = self._session.get_inputs()
        first = inputs[0] if inputs else None
        shape = [] if first is None else [_length(length) for length in first.shape]
        # Files of torchvision take one image without the axis of a batch.
        image = shape[1:] if len(shape) == _CHANNELS + 1 else shape
        self._has_batch = len(shape) == _CHANNELS + 1
        self._channels_last = image[-1:] == [_CHANNELS] and image[:1] != [_CHANNELS]
        channels = image[-1:] if self._channels_last else image[:1]
        fits = len(image) == _CHANNELS and channels[0] in (None, _CHANNELS)
        fits = fits and (not self._has_batch or shape[0] in (None, 1))
        if first is None or len(inputs) > 1 or not fits or first.type not in _TYPES:
            found = ', '.join(f'{one.name} {one.type} {one.shape}' for one in inputs) or 'none'
            raise WeightsInvalidError(
                'unsupported_input',
                f'{self._where}: expected one input, an image of shape (1, 3, H, W) or '
                f'(1, H, W, 3) in {", ".join(_TYPES.values())}; got {found}. Export it with a '
                'batch of one image and no other input.',
            )
        self._name, self._type = first.name, _TYPES[first.type]
        self.takes_bytes = self._type == 'uint8'
        self.precision = 'fp16' if self._type == 'fp16' else 'fp32'
        rows, columns = image[:2] if self._channels_last else image[1:]
        self.size_hw: SizeHW = (rows or 0, columns or 0)

    def move(self, device: torch.device) -> str:
        """Compute on a GPU from now on; return why not, empty if it does."""
        try:
            import onnxruntime  # noqa: PLC0415 - optional

            available = onnxruntime.get_available_providers()
            providers = choose_providers(DeviceSpec(device, self.precision), available)
            self._session = start_session(self._path, providers)
        except Exception as error:  # noqa: BLE001 - it stays on the CPU
            return _one_line(error)
        return ''

    def forward(self, pixels: torch.Tensor) -> Tensors:
        """Compute `outputs` for a (1, 3, h, w) float32 image, as float32 on the CPU.

        Raises:
            ModelError: ONNX Runtime failed.
        """
        if self.takes_bytes:
            pixels = pixels.round().clamp(0, 255)
        values = pixels.cpu().to(_DTYPES[self._type])
        values = values.permute(0, 2, 3, 1) if self._channels_last else values
        values = values if self._has_batch else values[0]
        try:
            outputs: Sequence[Any] = self._session.run(
                list(self.outputs), {self._name: values.contiguous().numpy()}
            )
        except Exception as error:
            raise ModelError(
                'network_failed',
                f'{self._where}: ONNX Runtime failed on an input of {tuple(values.shape)} '
                f'({_one_line(error)}). Set detector.input_size, or export it again.',
            ) from error
        # Detections are few enough for float32 to number their classes.
        return tuple(torch.from_numpy(np.array(one, np.float32)) for one in outputs)


def _length(length: object) -> int | None:
    return length if isinstance(length, int) and length > 0 else None


def _one_line(error: Exception) -> str:
    # Without the place in the source of ONNX Runtime.
    text = re.sub(r'/\S+:\d+ .*\) (?=[A-Z])', '', ' '.join(str(error).split()))
    return text[:_MAX_TEXT]
