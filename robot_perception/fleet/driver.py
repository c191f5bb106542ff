"""Process all recordings of a fleet that have no result yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
import json
import logging
import time

from robot_perception.core import ModelError, OutputError, requires, SourceError
from robot_perception.fleet.engine import Engine, WorkerLost
from robot_perception.fleet.job import Entry, Failure, FleetJob, RecordingTask
from robot_perception.fleet.lock import Lock, locked, LOST
from robot_perception.fleet.manifest import (
    begin_manifest,
    check_new_output,
    Manifest,
    read_manifest,
    remove_results,
)
from robot_perception.fleet.recording_task import probe_backends, remove_work, run_recording
from robot_perception.fleet.recordings import FoundRecording

_LOG = logging.getLogger(__name__)
# A storage or a network may be back after a while.
_FIRST_DELAY_S, _MAX_DELAY_S = 1.0, 60.0
_LOST = 'worker_lost'
# How often a fleet makes sure that it still has its lock.
_CHECKED_S = 5.0
# Recordings on which workers may fail before a fleet ends.
_MAX_PROBED = 3


@dataclass(frozen=True, slots=True)
class FleetReport:
    """Result of a fleet.

    Attributes:
        output: address of all results.
        processed: recordings with new results.
        unchanged: recordings whose results were there, as they are.
        failures: recordings set aside.
        lost_workers: workers that ended before their task did.
        elapsed_s: duration.
    """

    output: str
    processed: tuple[Entry, ...]
    unchanged: tuple[Entry, ...]
    failures: tuple[Failure, ...]
    lost_workers: int
    elapsed_s: float

    @property
    def is_whole(self) -> bool:
        """Whether every image of every recording was read."""
        entries = (*self.processed, *self.unchanged)
        return not self.failures and all(entry.is_whole for entry in entries)


def process_fleet(
    job: FleetJob,
    engine: Callable[[int], Engine],
    *,
    on_begin: Callable[[int, int], None] = lambda _done, _total: None,
    on_result: Callable[[Entry | Failure], None] = lambda _: None,
) -> FleetReport:
    """Process every recording that has no result, or that has changed since it has one.

    A recording is processed by one worker, with the runtimes and precisions that a worker has
    chosen on the first. One that fails is tried again, on another machine if there is one, and
    set aside in the end. What is done counts at once: an interrupted fleet goes on where it was.

    Args:
        job: the recordings, how to process them, and where the results go.
        engine: called with the number of recordings to process, if there are any.
        on_begin: called with the number of recordings whose results are there, and of all.
        on_result: called with each entry, and each recording that is set aside.

    Raises:
        SourceError: the output cannot be read.
        OutputError: another fleet writes the output, or has taken it over, it holds anything else,
            or cannot be written.
        ModelError: no worker can load the networks.
        MissingLibraryError: the extra ``fleet`` is not installed.
    """
    _check_libraries()
    begin_s = time.perf_counter()
    if read_manifest(job.output) is None:
        # Before the lock, so that nothing is written beside files of others.
        check_new_output(job.output)
    with locked(job.output) as lock:
        manifest = _open_manifest(job)
        discarded = manifest.discard_missing()
        there = _sizes(job) if manifest.entries else {}
        tasks, unchanged, failures = [], [], []
        for recording in job.recordings:
            known = manifest.entries.get(recording.name)
            failed = manifest.failures.get(recording.name)
            if recording.problem is not None:
                failures.append(_unreadable(recording, recording.problem))
            elif failed is not None and _is_hopeless(job, failed, recording):
                failures.append(failed)
            elif known is None or not _is_up_to_date(known, recording, there):
                tasks.append(_task(job, recording, manifest, lock, None))
            elif job.verify:
                tasks.append(_task(job, recording, manifest, lock, known))
            else:
                unchanged.append(known)
        on_begin(len(unchanged), len(job.recordings))
        run = _Run(job, manifest, lock, on_result)
        for failure in failures:
            run.set_aside(failure)
        try:
            if tasks:
                with closing(engine(len(tasks))) as workers:
                    run.finish(tasks, workers)
        finally:
            if tasks or failures or discarded:
                lock.check()
                manifest.write(job.output)
            remove_work(job.output)
    return FleetReport(
        str(job.output),
        tuple(run.processed),
        (*unchanged, *run.verified),
        tuple(run.failures),
        run.lost_workers,
        time.perf_counter() - begin_s,
    )


def _check_libraries() -> None:
    """Raise MissingLibraryError before the work, at the end of which workers need Arrow."""
    with requires('"robot_perception[fleet]"'):
        if find_spec('pyarrow') is None:
            raise ModuleNotFoundError(name='pyarrow')


def _open_manifest(job: FleetJob) -> Manifest:
    """Return the manifest of the output, an empty one for a new output."""
    identity = json.loads(json.dumps(job.identity()))
    manifest = read_manifest(job.output)
    if manifest is None:
        return begin_manifest(job.output, identity)
    if manifest.job != identity:
        different = [key for key in identity if identity[key] != manifest.job.get(key)]
        if not job.force:
            raise OutputError(
                'other_job',
                f'{job.output}: holds results with different {" and ".join(different)}. Repeat '
                'that command, name another output, or replace all results with --force.',
            )
        return begin_manifest(job.output, identity, manifest.entries.values())
    return manifest


def _sizes(job: FleetJob) -> dict[str, int]:
    return {file.path: file.size for file in job.output.find()}


def _is_up_to_date(known: Entry, recording: FoundRecording, there: Mapping[str, int]) -> bool:
    """Return whether a result is there, of the recording as it is now."""
    inputs = [replace(file, sha256=None) for file in known.inputs]
    return inputs == list(recording.files) and all(
        there.get(file.path) == file.size for file in known.outputs
    )


def _is_hopeless(job: FleetJob, failed: Failure, recording: FoundRecording) -> bool:
    """Return whether a recording has failed for good, and is still the same."""
    return failed.is_final and not job.verify and failed.inputs == recording.files


def _unreadable(recording: FoundRecording, problem: SourceError) -> Failure:
    source = str(recording.source)
    return Failure(recording.name, source, problem.reason, str(problem), is_final=True)


def _task(
    job: FleetJob,
    recording: FoundRecording,
    manifest: Manifest,
    lock: Lock,
    known: Entry | None,
) -> RecordingTask:
    return RecordingTask(
        recording.name,
        recording.source,
        recording.files,
        job.output,
        job.bag,
        manifest.job['software'],
        lock.token,
        manifest.backends or {},
        known,
    )


@dataclass(slots=True)
class _Waiting:
    """A task that is not done: how often it failed, where, and when it may be tried again."""

    task: RecordingTask
    failed: int = 0
    avoid: set[str] = field(default_factory=set)
    not_before_s: float = 0.0

    def postpone(self, failure: Failure) -> None:
        """Set where and when the task is tried again."""
        _LOG.info('%s: tried again after: %s', self.task.name, failure.text)
        if failure.where:
            self.avoid.add(failure.where)
        if failure.reason != _LOST:
            delay_s = min(_FIRST_DELAY_S * 2 ** (self.failed - 1), _MAX_DELAY_S)
            self.not_before_s = time.monotonic() + delay_s


class _Run:
    """One run of a fleet on an engine."""

    def __init__(
        self,
        job: FleetJob,
        manifest: Manifest,
        lock: Lock,
        on_result: Callable[[Entry | Failure], None],
    ) -> None:
        self._job = job
        self._manifest = manifest
        self._lock = lock
        self._on_result = on_result
        self.processed: list[Entry] = []
        self.verified: list[Entry] = []
        self.failures: list[Failure] = []
        self.lost_workers = 0

    def set_aside(self, failure: Failure) -> None:
        """Record that a recording has no result."""
        self.failures.append(failure)
        earlier = self._manifest.set_aside(failure)
        if earlier is not None and failure.is_final:
            remove_results(self._job.output, [earlier])
        self._on_result(failure)

    def finish(self, tasks: list[RecordingTask], engine: Engine) -> None:
        """Process the recordings; keep all slots of the engine at work."""
        if self._manifest.backends is None:
            tasks = self._decide_backends(tasks, engine)
        waiting = deque(_Waiting(task) for task in tasks)
        running: dict[str, _Waiting] = {}
        while waiting or running:
            self._lock.check()
            self._submit(waiting, running, engine)
            now_s = time.monotonic()
            delays = [max(0.0, one.not_before_s - now_s) for one in waiting]
            may_submit = len(running) < engine.slots
            timeout_s = min([_CHECKED_S, *(delays if may_submit else ())])
            if not running:
                time.sleep(timeout_s)
                continue
            done = engine.next_result(timeout_s)
            if done is not None:
                key, result, where = done
                again = self._take(running.pop(key), result, where)
                if again is not None:
                    waiting.append(again)

    @staticmethod
    def _submit(waiting: deque[_Waiting], running: dict[str, _Waiting], engine: Engine) -> None:
        now_s = time.monotonic()
        for _ in range(len(waiting)):
            if len(running) >= engine.slots:
                return
            one = waiting.popleft()
            if one.not_before_s > now_s:
                waiting.append(one)
                continue
            engine.submit(one.task.key, run_recording, one.task, one.avoid)
            running[one.task.key] = one

    def _take(self, one: _Waiting, result: object, where: str) -> _Waiting | None:
        """Record a result; return what is to be tried again."""
        if isinstance(result, Entry):
            (self.verified if result == one.task.known else self.processed).append(result)
            self._manifest.add(result)
            self._on_result(result)
            return None
        failure = self._failure(one.task, result, where)
        one.failed += 1
        if failure.is_final or one.failed > self._job.retries:
            self.set_aside(replace(failure, attempts=one.failed))
            return None
        one.postpone(failure)
        return one

    def _failure(self, task: RecordingTask, result: object, where: str) -> Failure:
        if isinstance(result, Failure):
            if result.reason == LOST:
                raise OutputError(LOST, result.text)
            return replace(result, where=where)
        text = result.text if isinstance(result, WorkerLost) else f'unexpected {result!r}'
        self.lost_workers += 1
        source = str(task.source)
        return Failure(task.name, source, _LOST, text, is_final=False, where=where)

    def _decide_backends(self, tasks: list[RecordingTask], engine: Engine) -> list[RecordingTask]:
        """Let a worker choose runtimes and precisions on a recording that it can read; pin them.

        Raises:
            ModelError: the networks cannot be loaded there.
        """
        problems: list[str] = []
        for task in tasks:
            one = _Waiting(task)
            while one.failed <= self._job.retries:
                time.sleep(max(0.0, one.not_before_s - time.monotonic()))
                engine.submit(task.key, probe_backends, task, one.avoid)
                done = None
                while done is None:
                    self._lock.check()
                    done = engine.next_result(_CHECKED_S)
                _, result, where = done
                if isinstance(result, ModelError):
                    raise result
                if isinstance(result, dict):
                    self._manifest.backends = result
                    # A run that is killed goes on with the same.
                    self._lock.check()
                    self._manifest.write(self._job.output)
                    return [replace(one, backends=result) for one in tasks]
                failure = self._failure(task, result, where)
                if failure.is_final:
                    break
                one.failed += 1
                one.postpone(failure)
            else:
                problems.append(failure.text)
            if len(problems) == _MAX_PROBED:
                raise ModelError(
                    'no_worker', f'expected workers that can begin, got: {" ".join(problems)}'
                )
        return tasks
