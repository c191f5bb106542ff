"""Recordings in, a bag of results out: every image, by the code of the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, ExitStack
from pathlib import Path
import time
from typing import Any

from robot_perception.bag.behind import Behind
from robot_perception.bag.camera_stream import CameraFrame
from robot_perception.bag.job import BagJob
from robot_perception.bag.making import Maker
from robot_perception.bag.recording import Heard, Recording
from robot_perception.bag.report import BagReport, Counts
from robot_perception.bag.seeing import Seer
from robot_perception.bag.unfinished import Row, UnfinishedBag
from robot_perception.core import DamagedBagError, OutputError, SourceError
from robot_perception.pipeline import Published, Stopwatch
from robot_perception.sources import BagMessage, message_store, Typestore

# Frames between two threads: enough that none waits for a short pause of the other.
_AHEAD = 3


def process_bags(
    job: BagJob,
    *,
    on_note: Callable[[str], None] = lambda _: None,
    on_begin: Callable[[int, int], None] = lambda _done, _total: None,
    on_image: Callable[[], None] = lambda: None,
) -> BagReport:
    """See every image of some recordings and write the results into a new bag.

    Reading, seeing, making messages and writing run side by side. A run that was interrupted goes on when it is
    called again with the same job, and gives the same bag to the byte.

    Args:
        job: what to do.
        on_note: called with sentences about choices that a user may want to change.
        on_begin: called with the images that are done already, and about how many there are.
        on_image: called after each image, in another thread.

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
        bag = stack.enter_context(closing(UnfinishedBag(job, types)))
        run = stack.enter_context(closing(_Run(job, bag, Seer(job, types), on_image)))
        on_begin(run.resumed_after, sum(recording.image_count for recording in recordings))
        try:
            return run.end(recordings, lost)
        except OutputError as error:
            if not bag.kept_images:
                raise
            raise OutputError(
                f'{error} {bag.kept_images} images are done and kept in {bag.folder}: the same '
                'command goes on after them.'
            ) from error


def _opened(job: BagJob, types: Typestore, stack: ExitStack) -> tuple[list[Recording], list[str]]:
    """Open the recordings; also gives what is wrong with those of which nothing is left."""
    recordings: list[Recording] = []
    lost: list[DamagedBagError] = []
    for path in job.inputs:
        opened = _open(path, job, types)
        if isinstance(opened, Recording):
            recordings.append(stack.enter_context(closing(opened)))
        else:
            lost.append(opened)
    if not recordings:
        raise lost[0]
    return recordings, [str(error) for error in lost]


def _open(path: Path, job: BagJob, types: Typestore) -> Recording | DamagedBagError:
    try:
        return Recording(path, job, types)
    except DamagedBagError as error:
        return error


class _Run:
    """One run of a job: reads in the caller's thread; sees, makes and writes in one each."""

    def __init__(
        self, job: BagJob, bag: UnfinishedBag, seer: Seer, on_image: Callable[[], None]
    ) -> None:
        self._job = job
        self._bag = bag
        self._seer = seer
        self._on_image = on_image
        self._maker = Maker(job, seer.class_names, seer.markers)
        # Each gives to the next.
        self._see, self._make, self._write = (
            Behind(name, _AHEAD) for name in ('seeing', 'making', 'writing')
        )
        self._reading, self._making, self._writing = Stopwatch(), Stopwatch(), Stopwatch()
        state = bag.journal.state or {'items': 0, 'images': 0}
        self._to_skip, self._images = state['items'], state['images']
        self.resumed_after = self._images
        if 'memory' in state:
            seer.remember(state['memory'])
            seer.markers.shown = frozenset((name, slot) for name, slot in state['markers'])
        # Items of the recordings that were handed on, and those that have been seen.
        self._given = self._taken = 0

    def close(self) -> None:
        """End the threads; what was not written is dropped."""
        for thread in (self._see, self._make, self._write):
            thread.close()

    def end(self, recordings: list[Recording], lost: list[str]) -> BagReport:
        """Read the recordings to their ends and finish the bag; ``lost`` could not be opened."""
        begin = time.perf_counter()
        damage = [problem for recording in recordings for problem in self._read(recording)] + lost
        self._see.wait()
        self._checkpoint()
        self._make.wait()
        self._write.wait()
        counts = self._seer.counts
        if not counts.seen:
            raise SourceError(_nothing_seen(recordings, counts, damage))
        metadata = self._bag.finish()
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
                **self._seer.busy_s,
                **self._making.seconds,
                **self._writing.seconds,
            },
            damage=tuple(damage),
        )

    def _read(self, recording: Recording) -> Iterator[str]:
        """Hand every item of a recording on; gives what was wrong with it."""
        items = recording.items()
        while True:
            try:
                with self._reading.stage('reading'):
                    item = next(items, None)
            except SourceError as error:
                yield str(error)
                return
            if item is None:
                return
            if isinstance(item, Heard):
                # A run that goes on must know it too.
                self._see(self._seer.hear, item)
                continue
            self._given += 1
            if self._given > self._to_skip:
                self._see(self._take, recording, item, self._given)

    def _take(self, recording: Recording, item: CameraFrame | BagMessage, number: int) -> None:
        self._taken = number
        if isinstance(item, BagMessage):
            definition = recording.definition(item.topic)
            row = Row(item.topic, item.type_name, item.data, item.stamp_ns, definition=definition)
            self._make(self._write, self._put, [row])
            return
        frame = self._seer.see(item, recording.image_topic)
        if frame is not None:
            is_first = self._seer.counts.seen == 1
            self._make(self._rows, frame, item.image.stamp_ns, is_first=is_first)
        self._images += 1
        if self._images % self._job.split == 0:
            self._checkpoint()
        self._on_image()

    def _rows(self, frame: Published, received_ns: int, *, is_first: bool) -> None:
        with self._making.stage('messages'):
            rows = [self._maker.label_info(frame, received_ns)] if is_first else []
            rows += self._maker.rows(frame, received_ns)
        self._write(self._put, rows)

    def _checkpoint(self) -> None:
        memory = self._seer.memory()
        self._make(self._keep, {'items': self._taken, 'images': self._images, 'memory': memory})

    def _keep(self, state: dict[str, Any]) -> None:
        self._write(self._end_file, {**state, 'markers': sorted(self._maker.markers.shown)})

    def _put(self, rows: list[Row]) -> None:
        with self._writing.stage('writing'):
            for row in rows:
                self._bag.write(row)

    def _end_file(self, state: dict[str, Any]) -> None:
        with self._writing.stage('writing'):
            self._bag.keep(state)


def _nothing_seen(recordings: list[Recording], counts: Counts, damage: list[str]) -> str:
    names = ', '.join(str(recording.path) for recording in recordings)
    if counts.rejected:
        reasons = ', '.join(f'{count} {reason}' for reason, count in counts.rejected.items())
        why = f'all of them were refused ({reasons})'
    else:
        lengths = ', '.join(f'{recording.duration_s:.1f} s' for recording in recordings)
        why = f'none lies in the part from --start to --end, of {lengths}'
    return ' '.join([f'{names}: expected images that can be read, got none: {why}.', *damage])
