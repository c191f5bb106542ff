"""Process recorded images as the node processes live ones."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
import time
from typing import Any

from robot_perception.bag.job import BagJob
from robot_perception.bag.report import Counts
from robot_perception.conversions import (
    header_message,
    Message,
    RosbagsFactory,
)
from robot_perception.core import ConversionError, OutputError, SourceError
from robot_perception.pipeline import PerceptionPipeline, PIPELINE, Stopwatch
from robot_perception.sources import decode, Definition, Sample, Typestore
from robot_perception.stream import (
    ClassNames,
    FrameProcessor,
    FrameTimer,
    label_info_messages,
    LABEL_INFO_TYPE,
    OutputFrame,
    ProcessedFrame,
    ReadImage,
    RECORDED,
    RecordedFrame,
    RecordedSynchronizer,
    TIMING,
)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to write into the result bag; see `BagWriter.declare` and `write`."""

    topic: str
    type_name: str
    message: Message
    stamp_ns: int
    latched: bool = False
    definition: Definition | None = None


class FrameRunner:
    """Processes the images of a job in order, and makes their output messages.

    Call `process` from one thread. `messages` and `label_infos` may be called from another.

    Attributes:
        backends: stage -> runtimes and precisions that computed it so far, in order of their use.
        counts: number of images so far, by outcome.
        busy_s: seconds of conversion and of each stage of the pipeline.
    """

    def __init__(
        self, job: BagJob, types: Typestore, backends: Mapping[str, Sequence[str]]
    ) -> None:
        """Load the networks.

        Args:
            job: what to process.
            types: definitions of messages.
            backends: those of an interrupted run; its last ones compute the remaining images.

        Raises:
            ModelError: a checkpoint is missing or unusable, or the device is not available.
            OutputError: the interrupted run computed a stage in a way that cannot be used now.
        """
        self.backends = {stage: list(names) for stage, names in backends.items()}
        self._kept = {stage: names[-1] for stage, names in backends.items()}
        self.counts = Counts()
        self.busy_s: defaultdict[str, float] = defaultdict(float)
        self._job, self._types = job, types
        # Serialized images that were read ahead, in their order.
        self._ahead: deque[tuple[bytes, ReadImage]] = deque()
        # As they were written last.
        self._names: ClassNames | None = None
        pipeline = PerceptionPipeline.load(job.config.with_backends(self._kept))
        self._check_backends(pipeline.backends, pipeline)
        # Recorded images have no age: there is no clock to compare with.
        timer = FrameTimer(job.config.timing_window) if TIMING in job.outputs else None
        self._processor = FrameProcessor(
            pipeline, RosbagsFactory(types), timer=timer, remedies=RECORDED
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state kept from earlier images, as JSON values."""
        return {
            'backends': {stage: list(names) for stage, names in self.backends.items()},
            'counts': self.counts.values(),
            'processor': self._processor.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.counts = Counts.from_values(state['counts'])
        self._processor.load_state_dict(state['processor'])
        if self.counts.processed:
            self._names = ClassNames.of(self._processor.pipeline)

    def compute_together(self, samples: Sequence[Sample]) -> None:
        """Read the coming images, and let networks compute them together.

        `process` is called as before, with each of them in this order.
        """
        begin = time.perf_counter()
        images = []
        for sample in samples:
            # Those that cannot be read raise their error again when they are processed.
            with suppress(SourceError, ConversionError):
                message = decode(self._types, sample.cdr, sample.type_name)
                read = self._processor.read(message, self._job.config, Stopwatch())
                self._ahead.append((sample.cdr, read))
                images.append(read.image)
        if images:
            self._processor.pipeline.compute_together(images)
        self.busy_s['converting'] += time.perf_counter() - begin

    def process(
        self, frame: RecordedFrame, synchronizer: RecordedSynchronizer
    ) -> OutputFrame | None:
        """Process one image; return None, and count it as rejected, if it cannot be read.

        Raises:
            ModelError: a network failed.
            OutputError: as in the constructor.
        """
        begin = time.perf_counter()
        try:
            frame_set = synchronizer.frame_set(frame)
            read = self._take_ahead(frame.sample)
            processed = self._processor.process(frame_set, self._job.outputs, read=read)
        except SourceError as error:
            self.counts.reject('serialization', str(error))
            return None
        except ConversionError as error:
            self.counts.reject(error.reason, str(error))
            return None
        backends = processed.output.scene.backends
        self._check_backends(backends, self._processor.pipeline)
        for stage, backend in backends.items():
            names = self.backends.setdefault(stage, [])
            if backend not in names[-1:]:
                names.append(backend)
        self._count(processed)
        stages_s = dict(processed.output.scene.timing_s)
        self.busy_s['converting'] += time.perf_counter() - begin - stages_s.pop(PIPELINE)
        for stage, seconds in stages_s.items():
            self.busy_s[stage] += seconds
        return processed.output

    def _take_ahead(self, sample: Sample) -> ReadImage | None:
        """Return an image if it was read ahead; it is the next of these."""
        if self._ahead and self._ahead[0][0] is sample.cdr:
            return self._ahead.popleft()[1]
        return None

    def _check_backends(self, backends: Mapping[str, str], pipeline: PerceptionPipeline) -> None:
        for stage, backend in backends.items():
            kept = self._kept.get(stage, backend)
            if backend != kept:
                raise OutputError(
                    'other_runtime',
                    f'{self._job.output}: the first images were computed with {kept} in stage '
                    f'{stage}, which now computes with {backend}. {" ".join(pipeline.notes)} Make '
                    f'{kept} usable again, or start over with --force.',
                )

    def _count(self, processed: ProcessedFrame) -> None:
        counts = self.counts
        counts.processed += 1
        counts.imperfect.update(remark.reason for remark in processed.remarks)
        for status, without in zip(processed.status, counts.without, strict=True):
            problem = status.problem
            if not status.is_usable:
                if without is counts.without_frames:
                    # The text contains times: the first stands for all.
                    problem = next(iter(without), problem)
                without[problem] += 1
            elif problem:
                counts.doubtful[problem] += 1

    def messages(self, frame: OutputFrame, received_ns: int) -> list[OutgoingMessage]:
        """Make every output of a frame, with the recording time of its image."""
        made = []
        for output in self._job.outputs:
            message = output.make(frame)
            if message is not None:
                topic = f'{self._job.name}/{output.topic}'
                made.append(OutgoingMessage(topic, output.type_name, message, received_ns))
        return made

    def new_names(self) -> ClassNames | None:
        """Return the names of the classes after a frame; None if they are those before it."""
        names = ClassNames.of(self._processor.pipeline)
        if names == self._names:
            return None
        self._names = names
        return names

    def label_infos(
        self, frame: OutputFrame, names: ClassNames, received_ns: int
    ) -> list[OutgoingMessage]:
        """Make the messages of the class names, with the stamp of the frame."""
        header = header_message(frame.factory, frame.scene.image.stamp_ns, '')
        threshold = self._job.config.detector.threshold
        messages = label_info_messages(frame.factory, header, names, threshold)
        return [
            OutgoingMessage(
                f'{self._job.name}/{topic}', LABEL_INFO_TYPE, message, received_ns, latched=True
            )
            for topic, message in messages.items()
        ]
