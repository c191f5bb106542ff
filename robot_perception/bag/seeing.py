"""Images of recordings to what was seen in them, by the code of the node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
import time
from typing import Any

from robot_perception.bag.camera_stream import CameraFrame
from robot_perception.bag.job import BagJob
from robot_perception.bag.recording import Heard
from robot_perception.bag.report import Counts
from robot_perception.conversions import Message, RosbagsFactory, to_transforms
from robot_perception.core import ConversionError, SourceError, TransformBuffer
from robot_perception.pipeline import (
    CalibrationKeeper,
    DepthCamera,
    FrameProcessor,
    FrameTimer,
    MarkerMemory,
    PerceptionPipeline,
    PIPELINE,
    Processed,
    Published,
    TIMING,
)
from robot_perception.sources import decode, Typestore

_IMAGE, _INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
_TRANSFORMS = 'tf2_msgs/msg/TFMessage'


class Seer:
    """Sees the images of a job in order; for one thread.

    Attributes:
        counts: what became of the images so far.
        busy_s: seconds by part of the work: converting, and each stage of the pipeline.
        markers: the memory that goes out with each frame.

    """

    def __init__(self, job: BagJob, types: Typestore) -> None:
        """Load the networks.

        Raises:
            ModelError: a checkpoint is missing or unusable, or the device is not there.

        """
        self.counts = Counts()
        self.busy_s: defaultdict[str, float] = defaultdict(float)
        self.markers = MarkerMemory()
        self._job = job
        self._types = types
        self._pipeline = PerceptionPipeline.load(job.config)
        self._factory = RosbagsFactory(types)
        self._calibration = CalibrationKeeper()
        self._info: bytes | None = None
        self._depth_camera = DepthCamera()
        self._transforms = TransformBuffer()
        # There is no clock beside which an image could have an age.
        timer = FrameTimer(job.config.timing_window) if TIMING in job.outputs else None
        self._processor = FrameProcessor(
            self._pipeline,
            self._factory,
            calibration=self._calibration,
            markers=self.markers,
            timer=timer,
            depth_camera=self._depth_camera,
            # The stream has waited for what belongs to an image.
            transforms=lambda _wait_s: self._transforms.lookup,
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the detector's classes."""
        return self._pipeline.class_names

    def memory(self) -> dict[str, Any]:
        """Give what earlier images left behind, as values of JSON."""
        return {'counts': self.counts.values(), 'frames': self._processor.memory()}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `memory` gave."""
        self.counts = Counts.of(memory['counts'])
        self._processor.remember(memory['frames'])

    def hear(self, heard: Heard) -> None:
        """Take what is worth knowing for the images that follow; broken messages are left out."""
        if heard.kind == 'depth camera':
            info = self._read(heard.data, _INFO)
            if info is not None:
                self._depth_camera.keep(info)
            return
        message = self._read(heard.data, _TRANSFORMS)
        if message is None:
            return
        for transform in to_transforms(message).transforms:
            self._transforms.insert(transform, static=heard.kind == 'static transforms')

    def see(self, frame: CameraFrame, image_topic: str) -> Published | None:
        """See one image; gives None for one that cannot be read, which is counted.

        Raises:
            ModelError: a network failed.

        """
        begin = time.perf_counter()
        seen = self._process(frame, image_topic)
        if seen is None:
            return None
        stages_s = dict(seen.published.scene.timing_s)
        self.busy_s['converting'] += time.perf_counter() - begin - stages_s.pop(PIPELINE)
        for stage, seconds in stages_s.items():
            self.busy_s[stage] += seconds
        self.counts.seen += 1
        return seen.published

    def _process(self, frame: CameraFrame, image_topic: str) -> Processed | None:
        image = self._read(frame.image.data, frame.image.type_name)
        if image is None:
            self.counts.rejected['serialization'] += 1
            return None
        if frame.info is not None and frame.info is not self._info:
            self._info = frame.info
            info = self._read(frame.info, _INFO)
            if info is not None:
                self._calibration.keep(info)
        depth = None if frame.depth is None else self._read(frame.depth, _IMAGE)
        try:
            seen = self._processor.process(
                image, self._job.outputs, image_topic, lambda _stamp_ns: depth
            )
        except ConversionError as error:
            self.counts.rejected[error.reason] += 1
            return None
        if seen.calibration_problem:
            self.counts.without_calibration[seen.calibration_problem] += 1
        if seen.depth_problem:
            self.counts.without_depth[seen.depth_problem] += 1
        if seen.frames_problem:
            first = next(iter(self.counts.without_frames), seen.frames_problem)
            self.counts.without_frames[first] += 1
        return seen

    def _read(self, cdr: bytes, type_name: str) -> Message:
        """Read a message; None for bytes that are none."""
        try:
            return decode(self._types, cdr, type_name)
        except SourceError:
            return None
