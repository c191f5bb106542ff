"""Process recordings into a result bag, with the code that the node uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, ExitStack
import logging
from pathlib import Path
import time
from typing import Any

from robot_perception.bag.frame_runner import FrameRunner, OutgoingMessage
from robot_perception.bag.job import BagJob
from robot_perception.bag.recording import Recording
from robot_perception.bag.report import BagReport, Counts
from robot_perception.bag.resumable_writer import ResumableBagWriter
from robot_perception.bag.serial_executor import SerialExecutor
from robot_perception.core import DamagedBagError, OutputError, SourceError
from robot_perception.pipeline import BackendReport, Stopwatch
from robot_perception.sources import BagMessage, BEGIN_NS, message_store, Sample, Typestore
from robot_perception.stream import (
    ClassNames,
    IMAGES,
    OutputFrame,
    RecordedFrame,
    RecordedSynchronizer,
)

_LOG = logging.getLogger(__name__)
# Calls queued between two threads: enough to bridge a short pause of either.
_MAX_PENDING = 3
# Messages between reading and processing; most are small beside an image.
_MAX_PENDING_MESSAGES = 8


def process_bags(
    job: BagJob,
    *,
    on_note: Callable[[str], None] = lambda _: None,
    on_begin: Callable[[int, int], None] = lambda _done, _total: None,
    on_image: Callable[[], None] = lambda: None,
) -> BagReport:
    """Process every image of the recordings of a job and write the results into a new bag.

    Reading, processing, making messages and writing each run on a thread of their own. After an
    interruption, a call with the same job resumes; the bag is the same, byte for byte.

    Args:
        job: the recordings, the configuration and the output.
        on_note: called with sentences about choices that a user may want to change.
        on_begin: called with the number of images that an earlier run has done, and the
            approximate total.
        on_image: called after each image, on another thread.

    Raises:
        SourceError: a recording cannot be opened, or holds no image that can be read.
        OutputError: the bag cannot be written.
        ModelError: a network cannot be loaded or fails.
    """
    types = message_store()
    with ExitStack() as stack:
        recordings, lost = _opened(job, types, stack)
        for recording in recordings:
            for note in recording.notes:
                on_note(note)
        bag = stack.enter_context(closing(ResumableBagWriter(job, types)))
        state = bag.progress.state or {}
        backends = state.get('runner', {}).get('backends', {})
        runner = FrameRunner(job, types, backends)
        run = stack.enter_context(closing(_Run(job, bag, runner, on_image)))
        on_begin(run.resumed_after, sum(recording.image_count for recording in recordings))
        try:
            return run.finish(recordings, lost)
        except OutputError as error:
            if not bag.kept_images:
                raise
            raise OutputError(
                error.reason,
                f'{error} {bag.kept_images} images are done and kept in {bag.folder}: the same '
                'command continues after them.',
            ) from error


def _opened(job: BagJob, types: Typestore, stack: ExitStack) -> tuple[list[Recording], list[str]]:
    """Open the recordings; also return the errors of those with nothing readable."""
    recordings: list[Recording] = []
    lost: list[DamagedBagError] = []
    begin_ns = BEGIN_NS
    for path in job.inputs:
        opened = _open(path, job, types, begin_ns)
        if isinstance(opened, Recording):
            recordings.append(stack.enter_context(closing(opened)))
            # Pictures of several files follow each other.
            begin_ns = opened.end_ns
        else:
            lost.append(opened)
    if not recordings:
        raise lost[0]
    return recordings, [str(error) for error in lost]


def _open(path: Path, job: BagJob, types: Typestore, begin_ns: int) -> Recording | DamagedBagError:
    try:
        return Recording(path, job, types, begin_ns)
    except DamagedBagError as error:
        return error


class _Run:
    """One run of a job: reads on the caller's thread; processes, builds and writes on others.

    Items are the images to process and the messages to copy. Their order is fixed, so that a
    resumed run skips as many of them as earlier runs have done.
    """

    def __init__(
        self,
        job: BagJob,
        bag: ResumableBagWriter,
        runner: FrameRunner,
        on_image: Callable[[], None],
    ) -> None:
        self._job = job
        self._bag = bag
        self._runner = runner
        self._on_image = on_image
        self._backends = BackendReport()
        # Each thread submits work to the next.
        self._processing_thread = SerialExecutor(
            'processing', max(_MAX_PENDING_MESSAGES // job.batch, 1)
        )
        self._building_thread = SerialExecutor('building', _MAX_PENDING)
        self._writing_thread = SerialExecutor('writing', _MAX_PENDING)
        self._reading, self._building, self._writing = Stopwatch(), Stopwatch(), Stopwatch()
        state = bag.progress.state or {'items': 0, 'images': 0}
        self._to_skip, self._images = state['items'], state['images']
        self._kept_images = self._images
        self.resumed_after = self._images
        if 'runner' in state:
            runner.load_state_dict(state['runner'])
        # Items so far, including those that an earlier run has done.
        self._items = 0
        # Images of this recording so far, including those that `BagJob.every` skips.
        self._recorded_images = 0
        # The same of images that were read, which may wait for depth and transforms.
        self._read_images = 0
        # Images to process that were read, including those that an earlier run has done.
        self._coming_images = 0

    def close(self) -> None:
        """End the threads; drop what is not written yet."""
        for thread in (self._processing_thread, self._building_thread, self._writing_thread):
            thread.close()

    def finish(self, recordings: list[Recording], lost: list[str]) -> BagReport:
        """Read the recordings to their ends; ``lost`` are the errors of those not opened."""
        begin = time.perf_counter()
        damage = [problem for recording in recordings for problem in self._read(recording)] + lost
        self._processing_thread.wait()
        self._checkpoint()
        self._building_thread.wait()
        self._writing_thread.wait()
        counts = self._runner.counts
        if not counts.processed:
            self._bag.discard()
            raise _no_image(recordings, counts, damage)
        begins_ns = {recording.path: recording.begin_ns for recording in recordings}
        metadata = self._bag.finish(self._runner.backends, begins_ns)
        return BagReport(
            output=str(self._job.output),
            counts=counts,
            messages={
                row['topic_metadata']['name']: row['message_count']
                for row in metadata['topics_with_message_count']
            },
            bytes_written=sum(path.stat().st_size for path in self._job.output.iterdir()),
            resumed_after=self.resumed_after,
            elapsed_s=time.perf_counter() - begin,
            busy_s={
                **self._reading.seconds,
                **self._runner.busy_s,
                **self._building.seconds,
                **self._writing.seconds,
            },
            damage=tuple(damage),
        )

    def _read(self, recording: Recording) -> Iterator[str]:
        """Submit every message of a recording; yield a description of its damage, if any."""
        synchronizer = recording.synchronizer()
        messages, submit = recording.messages(), self._processing_thread.submit
        group: list[BagMessage] = []
        # The list is read on this thread: only one thread may use a bag.
        submit(self._begin_recording, synchronizer, list(recording.lasting()))
        while True:
            try:
                with self._reading.stage('reading'):
                    message = next(messages, None)
            except SourceError as error:
                yield str(error)
                break
            if message is None:
                break
            group.append(message)
            if self._is_complete(group, recording):
                submit(self._take_group, recording, synchronizer, group)
                group = []
        submit(self._take_group, recording, synchronizer, group)
        submit(self._end_recording, synchronizer)

    def _is_complete(self, group: list[BagMessage], recording: Recording) -> bool:
        """Return whether a group has the images of a batch."""
        if self._job.batch == 1:
            return True
        return len(_images(group, recording)) == self._job.batch * self._job.every

    def _begin_recording(self, synchronizer: RecordedSynchronizer, lasting: list[Sample]) -> None:
        self._recorded_images = self._read_images = 0
        for sample in lasting:
            synchronizer.prime(sample)

    def _take_group(
        self,
        recording: Recording,
        synchronizer: RecordedSynchronizer,
        group: list[BagMessage],
    ) -> None:
        if self._job.batch > 1:
            images = _images(group, recording)
            coming = images[-self._read_images % self._job.every :: self._job.every]
            self._read_images += len(images)
            done = max(self.resumed_after - self._coming_images, 0)
            self._coming_images += len(coming)
            self._runner.compute_together(coming[done:])
        for message in group:
            self._take(recording, synchronizer, message)

    def _take(
        self, recording: Recording, synchronizer: RecordedSynchronizer, message: BagMessage
    ) -> None:
        sample = recording.sample(message)
        due = synchronizer.add(sample) if sample else synchronizer.advance(message.stamp_ns)
        for frame in due:
            self._take_frame(frame, synchronizer)
        if recording.is_copied(message.topic) and self._is_new_item():
            copied = OutgoingMessage(
                message.topic,
                message.type_name,
                message.data,
                message.stamp_ns,
                definition=recording.definition(message.topic),
            )
            self._building_thread.submit(self._submit_write, [copied])

    def _end_recording(self, synchronizer: RecordedSynchronizer) -> None:
        for frame in synchronizer.flush():
            self._take_frame(frame, synchronizer)

    def _take_frame(self, frame: RecordedFrame, synchronizer: RecordedSynchronizer) -> None:
        self._recorded_images += 1
        if (self._recorded_images - 1) % self._job.every:
            return
        if self._images - self._kept_images == self._job.split:
            # Not before the next image, so that all that was copied after the last is in its file.
            self._checkpoint()
        if not self._is_new_item():
            return
        output = self._runner.process(frame, synchronizer)
        if output is not None:
            for line in self._backends.add(output.scene):
                _LOG.info(line)
            names, received_ns = self._runner.new_names(), frame.sample.stamp_ns
            self._building_thread.submit(self._build, output, names, received_ns)
        self._images += 1
        self._on_image()

    def _is_new_item(self) -> bool:
        """Count an item; return whether this run has to write it, as no earlier one has."""
        self._items += 1
        return bool(self._items > self._to_skip)

    def _build(self, frame: OutputFrame, names: ClassNames | None, received_ns: int) -> None:
        with self._building.stage('messages'):
            made = self._runner.label_infos(frame, names, received_ns) if names else []
            made += self._runner.messages(frame, received_ns)
        self._submit_write(made)

    def _submit_write(self, messages: list[OutgoingMessage]) -> None:
        self._writing_thread.submit(self._write, messages)

    def _write(self, messages: list[OutgoingMessage]) -> None:
        with self._writing.stage('writing'):
            for message in messages:
                self._bag.write(message)

    def _checkpoint(self) -> None:
        self._kept_images = self._images
        runner = self._runner.state_dict()
        state = {'items': self._items, 'images': self._images, 'runner': runner}
        # Passed through both threads, so that everything before it is written first.
        self._building_thread.submit(self._submit_checkpoint, state)

    def _submit_checkpoint(self, state: dict[str, Any]) -> None:
        self._writing_thread.submit(self._end_file, state)

    def _end_file(self, state: dict[str, Any]) -> None:
        with self._writing.stage('writing'):
            self._bag.checkpoint(state)


def _images(group: list[BagMessage], recording: Recording) -> list[Sample]:
    """Return the images of the camera among messages."""
    samples = map(recording.sample, group)
    return [one for one in samples if one is not None and one.role in IMAGES]


def _no_image(recordings: list[Recording], counts: Counts, damage: list[str]) -> SourceError:
    names = ', '.join(str(recording.path) for recording in recordings)
    if counts.rejected:
        reasons = ' '.join(
            f'{count} images ({reason}): {counts.rejections[reason]}'
            for reason, count in counts.rejected.items()
        )
        cause = f'all of them were rejected. {reasons}'
    else:
        lengths = ', '.join(f'{recording.duration_s:.1f} s' for recording in recordings)
        cause = f'none lies in the part from --start to --end, of {lengths}.'
    text = f'{names}: expected images that can be read, got none: {cause}'
    return SourceError('no_image', ' '.join([text, *damage]))
