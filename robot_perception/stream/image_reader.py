"""Read the images of one camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robot_perception import conversions
from robot_perception.conversions import Message, SensorBits
from robot_perception.core import AnyArray, Image
from robot_perception.pipeline import InputConfig
from robot_perception.stream.status import InputStatus

_FULL_BITS = 16


@dataclass(frozen=True, slots=True)
class ReadImage:
    """An image after it was read.

    Attributes:
        image: the image.
        remarks: what is wrong with it, although it can be used.
        seconds: how long reading took.
        state: what `ImageReader.state_dict` returned after it.
    """

    image: Image
    remarks: tuple[InputStatus, ...]
    seconds: float
    state: Mapping[str, Any]


class ImageReader:
    """Converts the images of one camera, in order.

    Attributes:
        remarks: what is wrong with the last image, although it can be used.
    """

    def __init__(self) -> None:
        """Start without images."""
        self.remarks: tuple[InputStatus, ...] = ()
        self._sensor_bits = SensorBits()
        self._reported_bits = _FULL_BITS

    def read(self, message: Message, config: InputConfig) -> Image:
        """Convert a sensor_msgs/msg/Image or CompressedImage.

        Raises:
            ConversionError: the image cannot be read.
        """
        self.remarks = ()
        fixed_bits = config.mono16_bits

        def find_bits(pixels: AnyArray) -> int:
            return fixed_bits or self._found_bits(pixels)

        if hasattr(message, 'format'):
            return conversions.compressed_to_image(
                message, max_pixels=config.max_pixels, find_bits=find_bits, remark=self._remark
            )
        return conversions.to_image(message, max_pixels=config.max_pixels, find_bits=find_bits)

    def state_dict(self) -> dict[str, Any]:
        """Return the state kept from earlier images, as JSON values."""
        return {'bits': self._sensor_bits.state_dict(), 'reported': self._reported_bits}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._sensor_bits.load_state_dict(state['bits'])
        self._reported_bits = state['reported']

    def _found_bits(self, pixels: AnyArray) -> int:
        bits = self._sensor_bits.update(pixels)
        if bits != self._reported_bits:
            self._reported_bits = bits
            self._remark(
                'sensor_bits',
                f'images of 16 bits are read as {bits} bits, by the largest value so far. If they '
                'are too bright or too dark, set input.mono16_bits.',
            )
        return bits

    def _remark(self, reason: str, text: str) -> None:
        self.remarks = (*self.remarks, InputStatus.failed(reason, text))
