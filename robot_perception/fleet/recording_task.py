"""What a worker does with one recording: copy it here, process it, publish the results.

Results are complete before they get their names in the output; the entry for the manifest, which
is written last, makes them count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
import json
import logging
import os
from pathlib import Path
import shutil
import socket
import tempfile

from robot_perception.bag import process_bags, process_stream, read_backends
from robot_perception.core import (
    ConfigError,
    InputError,
    make_folder,
    ModelError,
    OutputError,
    PerceptionError,
    replace_folder,
    SourceError,
    write_error,
)
from robot_perception.fleet.address import Address, FileFacts
from robot_perception.fleet.dataset import table_path, TABLES
from robot_perception.fleet.job import Entry, Failure, RecordingTask
from robot_perception.fleet.lock import check_lock
from robot_perception.fleet.manifest import ENTRIES
from robot_perception.fleet.recordings import recording_files
from robot_perception.pipeline import keep_freed_memory, PerceptionPipeline
from robot_perception.sources import check_new_bag, open_source

_LOG = logging.getLogger(__name__)
_WORK = '.work'
_TEMPORARY = 'robot_perception_fleet_'
_METADATA = 'metadata.yaml'
# Runtimes are compared with torch on the first frames.
_PROBED_FRAMES = 5


def run_recording(task: RecordingTask) -> Entry | Failure:
    """Process a recording and publish its results; return the entry, or why there is none."""
    try:
        _check_software(task)
        if task.known is not None and _is_unchanged(task, task.known):
            return task.known
        with _work_folder(task) as work:
            entry = _process(task, work)
        task.output.child(f'{ENTRIES}/{task.key}.json').write(json.dumps(asdict(entry)).encode())
    except Exception as error:  # noqa: BLE001 - one recording must not end a worker
        return _failure(task, error)
    return entry


def probe_backends(task: RecordingTask) -> dict[str, str] | ModelError | Failure:
    """Return the runtime and precision that computes each stage on the first frames here.

    Without the networks here, return the error that names them.
    """
    try:
        _check_software(task)
        # Not in the folder of unfinished results, which a worker may resume.
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY) as work:
            source = _local_copy(task, Path(work))
            pipeline = PerceptionPipeline.load(task.bag.config)
            backends: dict[str, str] = {}
            with open_source(str(source), topics=task.bag.wish) as opened:
                scenes = process_stream(pipeline, opened)
                for _, scene in zip(range(_PROBED_FRAMES), scenes, strict=False):
                    backends.update(scene.backends)
    except ModelError as error:
        return error
    except Exception as error:  # noqa: BLE001 - as above
        return _failure(task, error)
    return backends


def remove_work(output: Address) -> None:
    """Remove the folder of unfinished results of a local output, if there are none."""
    if (path := output.local) is not None:
        with suppress(OSError):
            (path / _WORK).rmdir()


def _failure(task: RecordingTask, error: Exception) -> Failure:
    _LOG.debug('%s: traceback of this error', task.name, exc_info=error)
    reason, text = 'unexpected', f'{type(error).__name__}: {error}'
    if isinstance(error, PerceptionError):
        reason, text = error.reason, str(error)
    return Failure(
        task.name,
        str(task.source),
        reason,
        text,
        is_final=_is_final(error),
        inputs=task.files,
    )


def _is_final(error: BaseException) -> bool:
    """Return whether the recording is the cause of an error."""
    return isinstance(error, SourceError | InputError) and error.reason != 'no_access'


def _check_software(task: RecordingTask) -> None:
    software = task.bag.identity()['software']
    if software != task.software:
        raise ConfigError(
            'other_software',
            f'{socket.gethostname()}: expected the same version of robot_perception on every '
            'worker, got another. Install that of the machine that started the fleet.',
        )


def _is_unchanged(task: RecordingTask, known: Entry) -> bool:
    """Return whether inputs and outputs have the content of an earlier run."""
    for root, files in ((task.source, known.inputs), (task.output, known.outputs)):
        for file in files:
            address = _file_address(root, file)
            if not address.exists() or address.sha256() != file.sha256:
                return False
    return [file.path for file in known.inputs] == [file.path for file in task.files]


def _file_address(root: Address, file: FileFacts) -> Address:
    """Return the address of a file of a recording, which may be a single file."""
    return root if root.name == file.path else root.child(file.path)


@contextmanager
def _work_folder(task: RecordingTask) -> Iterator[Path]:
    """Yield the folder of unfinished results, where a worker that was killed has left them.

    Beside a local output it outlives a failure, so that any worker can resume; on the disk of a
    worker it does not.
    """
    shared = task.output.local
    folder = (
        Path(tempfile.gettempdir(), f'{_TEMPORARY}{os.getuid()}', task.disk_key)
        if shared is None
        else shared / _WORK / task.key
    )
    make_folder(folder)
    try:
        yield folder
    except BaseException as error:
        if shared is None or _is_final(error):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _local_copy(task: RecordingTask, work: Path) -> Path:
    """Return the path of the recording on this machine, to which it is copied if it is remote."""
    if (path := task.source.local) is not None:
        return path
    folder = work / 'input'
    target = folder / task.source.name
    for file in task.files:
        address = _file_address(task.source, file)
        copy = target if address == task.source else target / file.path
        if not _is_copied(file, copy):
            address.download(copy)
        if file.modified_ns is not None:
            # Part of the identity by which an interrupted run is resumed.
            os.utime(copy, ns=(file.modified_ns, file.modified_ns))
    return target


def _is_copied(file: FileFacts, copy: Path) -> bool:
    """Return whether an earlier task has copied this version of a file."""
    if not copy.exists():
        return False
    facts = copy.stat()
    return (facts.st_size, facts.st_mtime_ns) == (file.size, file.modified_ns)


def _process(task: RecordingTask, work: Path) -> Entry:
    # What only starts tasks has no use for Arrow, which takes memory and time.
    from robot_perception.fleet.table_writer import write_tables  # noqa: PLC0415

    source = _local_copy(task, work)
    # In a folder of its own: a recording may have any name.
    bag = work / 'result' / Path(task.name).name
    make_folder(bag.parent)
    keep_freed_memory()
    job = replace(
        task.bag,
        inputs=(source,),
        output=bag,
        config=task.bag.config.with_backends(task.backends),
        input_names={source: _relative(task)},
        # Complete results without an entry are those of a worker that was killed.
        force=True,
    )
    notes: list[str] = []
    report = process_bags(job, on_note=notes.append)
    _check_backends(task, bag)
    objects = write_tables(bag, job.name, work / 'tables')
    inputs = tuple(
        replace(file, sha256=_file_address(task.source, file).sha256()) for file in task.files
    )
    _check_unchanged(task)
    check_lock(task.output, task.lock)
    outputs = _publish(task, bag, work / 'tables')
    return Entry(
        name=task.name,
        source=str(task.source),
        inputs=inputs,
        outputs=outputs,
        images=report.counts.processed,
        objects=objects,
        counts=report.counts.values(),
        damage=report.damage,
        notes=tuple(notes),
        host=socket.gethostname(),
        elapsed_s=round(report.elapsed_s, 3),
    )


def _check_unchanged(task: RecordingTask) -> None:
    """Raise SourceError if a recording is not what it was when the fleet began."""
    if recording_files(task.source) != task.files:
        raise SourceError(
            'changed',
            f'{task.source}: changed while it was waiting or read. Run the same command again '
            'when it is complete.',
        )


def _relative(task: RecordingTask) -> str:
    """Return how the result names its recording: a path where both are local."""
    output, source = task.output.local, task.source.local
    if output is None or source is None:
        return str(task.source)
    return os.path.relpath(source, output / task.name)


def _check_backends(task: RecordingTask, bag: Path) -> None:
    found = read_backends(bag)
    for stage, backend in task.backends.items():
        if found.get(stage, backend) != backend:
            raise OutputError(
                'other_runtime',
                f'{socket.gethostname()}: expected {backend} in stage {stage}, as in the other '
                f'results, got {found[stage]}. Make {backend} usable on every worker, or choose '
                f'another with --set {stage}.runtime= and {stage}.precision=.',
            )


def _publish(task: RecordingTask, bag: Path, tables: Path) -> tuple[FileFacts, ...]:
    """Move the results to the output; return their files."""
    # The metadata make a bag of the files: last.
    files = sorted(bag.iterdir(), key=lambda path: (path.name == _METADATA, path.name))
    moved = {path: f'{task.name}/{path.name}' for path in files}
    moved |= {path: table_path(path.stem, task.name) for path in sorted(tables.iterdir())}
    facts = tuple(
        FileFacts(below, path.stat().st_size, sha256=Address(str(path)).sha256())
        for path, below in moved.items()
    )
    for name in TABLES:
        if (below := table_path(name, task.name)) not in moved.values():
            task.output.child(below).remove()
    if (output := task.output.local) is None:
        for path, below in moved.items():
            task.output.child(below).upload(path)
        _remove_others(task, set(moved.values()))
        return facts
    target = output / task.name
    make_folder(target.parent)
    check_new_bag(target, force=True)
    try:
        replace_folder(bag, target)
    except OSError as error:
        raise write_error(target, error) from error
    for path, below in moved.items():
        if path.parent == tables:
            final = output / below
            make_folder(final.parent)
            try:
                path.replace(final)
            except OSError as error:
                raise write_error(final, error) from error
    return facts


def _remove_others(task: RecordingTask, kept: set[str]) -> None:
    """Remove files of an earlier result that this one does not have."""
    folder = task.output.child(task.name)
    for file in folder.find():
        if f'{task.name}/{file.path}' not in kept:
            folder.child(file.path).remove()
