"""The stream of one camera without a node, for very many messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import time

import numpy as np

from robot_perception.conversions import (
    camera_info_message,
    header_message,
    image_message,
    Message,
    RosbagsFactory,
)
from robot_perception.core import CameraModel, ConversionError, NANOSECONDS_PER_SECOND
from robot_perception.faults.sanity import output_problems
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline, Value
from robot_perception.sources import message_store, Role
from robot_perception.stream import (
    CameraTopics,
    FrameProcessor,
    FrameStatus,
    OUTPUTS,
    Synchronizer,
)

SIZE_HW = (48, 64)
CAMERA = CameraModel.nominal(SIZE_HW, 60.0)
FRAME_ID = 'camera_optical_frame'
FACTORY = RosbagsFactory(message_store())
# Ten times the farthest depth of the stub network.
MAX_RANGE_M = 55.0
_NO_TIMES = frozenset({'timing', 'scene', 'markers'})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an image.

    Attributes:
        refusal: reason slug of an image that was refused, empty if it was processed.
        status: status of calibration, depth and transforms; None for a refused image.
        outputs: topic -> message.
        problems: what is wrong with the outputs.
        cpu_s: processor time of this thread.
    """

    refusal: str
    status: FrameStatus | None
    outputs: Mapping[str, Message]
    problems: tuple[str, ...]
    cpu_s: float


class MessageStream:
    """Processes images of a calibrated camera with the stub networks, and makes all outputs."""

    def __init__(
        self, parameters: Mapping[str, Value] | None = None, max_range_m: float = MAX_RANGE_M
    ) -> None:
        """Start.

        Args:
            parameters: besides the preset ``stub`` and no tracking.
            max_range_m: farthest coordinate that is plausible.
        """
        self._max_range_m = max_range_m
        values: dict[str, Value] = {
            'tracking.enabled': False,
            'depth.max_wait_s': 0.0,
            'frames.tf_wait_s': 0.0,
        }
        self._config = PerceptionConfig.from_preset('stub', {**values, **(parameters or {})})
        self._processor = FrameProcessor(PerceptionPipeline.load(self._config), FACTORY)
        self.synchronizer = Synchronizer()
        self.calibrate()
        self._golden_stamp_ns = 10**15
        self._golden = self._process_golden()

    def calibrate(self, info: Message = None) -> None:
        """Add a calibration; None for the right one."""
        if info is None:
            info = camera_info_message(FACTORY, header_message(FACTORY, 0, FRAME_ID), CAMERA)
        self.synchronizer.add(Role.CAMERA_INFO, info)

    def process(self, image: Message) -> Result:
        """Process an image.

        Raises:
            Exception: any but the refusal of an image is a fault of the product.
        """
        stamp = image.header.stamp
        stamp_ns = stamp.sec * NANOSECONDS_PER_SECOND + stamp.nanosec
        frame_set = self.synchronizer.frame_set(
            image, stamp_ns, time.time_ns(), self._config, CameraTopics('/image')
        )
        start_s = time.thread_time()
        try:
            frame = self._processor.process(frame_set, OUTPUTS)
        except ConversionError as error:
            return Result(error.reason, None, {}, (), time.thread_time() - start_s)
        messages = {one.topic: one.make(frame.output) for one in OUTPUTS}
        cpu_s = time.thread_time() - start_s
        outputs = {topic: made for topic, made in messages.items() if made is not None}
        size_hw = frame.output.scene.image.size_hw
        problems = [
            problem
            for topic, made in outputs.items()
            for problem in output_problems(topic, made, size_hw, self._max_range_m)
        ]
        problems += [
            f'{topic}: another header than that of the image'
            for topic, made in outputs.items()
            if hasattr(made, 'header') and made.header.stamp != stamp
        ]
        return Result('', frame.status, outputs, tuple(problems), cpu_s)

    def check_golden(self) -> str:
        """Process a valid image; return what is wrong with its outputs, empty if nothing is."""
        outputs = self._process_golden()
        wrong = [topic for topic, made in self._golden.items() if outputs.get(topic) != made]
        return f'a valid image gave other {", ".join(wrong)} than before' if wrong else ''

    def _process_golden(self) -> dict[str, bytes]:
        self.calibrate()
        pixels = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
        header = header_message(FACTORY, self._golden_stamp_ns, FRAME_ID)
        result = self.process(image_message(FACTORY, header, pixels, 'rgb8'))
        store = message_store()
        return {
            topic: bytes(store.serialize_cdr(made, made.__msgtype__))
            for topic, made in result.outputs.items()
            if topic not in _NO_TIMES
        }
