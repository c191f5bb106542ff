"""Writing of a bag file by file, so that an interrupted run can be resumed.

Beside the output OUT lies the folder .OUT.part with ``bag`` (complete files), ``writing`` (the
file being written) and ``progress.json``. A file is flushed and moved into ``bag`` before it is
added to ``progress.json``: after a crash every file listed there is complete, and
the others are deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
import fcntl
import json
import os
from pathlib import Path
import shutil
from typing import Any

import yaml

from robot_perception.bag.frame_runner import OutgoingMessage
from robot_perception.bag.job import BagJob
from robot_perception.bag.recorded_inputs import inputs_as_custom_data
from robot_perception.bag.result_reader import BACKEND_KEY
from robot_perception.core import flush, OutputError, replace_folder, write_bytes, write_error
from robot_perception.sources import BagWriter, check_new_bag, Compression, Typestore

_METADATA, _ROOT = 'metadata.yaml', 'rosbag2_bagfile_information'


@dataclass(slots=True)
class Progress:
    """State of a run.

    Attributes:
        identity: everything that the result depends on; another job cannot resume from here.
        parts: metadata of each file, in order.
        state: state of the run after the last file; None before the first.
    """

    identity: dict[str, Any]
    parts: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] | None = None


class ResumableBagWriter:
    """Writes the bag of a job in files of a fixed number of images; for one thread at a time."""

    def __init__(self, job: BagJob, types: Typestore) -> None:
        """Start, or resume an earlier run of the same job.

        Raises:
            OutputError: the output exists and may not be replaced, another job has left it
                incomplete, another process is writing it, or the operating system refused.
        """
        self._job = job
        self._types = types
        self._output = job.output.absolute()
        self.folder = self._output.with_name(f'.{self._output.name}.part')
        self._bag, self._writing = self.folder / 'bag', self.folder / 'writing'
        self._writer: BagWriter | None = None
        check_new_bag(job.output, force=job.force)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._acquire_lock()
            self.progress = self._resume()
        except OSError as error:
            raise write_error(self._job.output, error) from error

    def write(self, message: OutgoingMessage) -> None:
        """Append a message.

        Raises:
            OutputError: the operating system refused.
        """
        if self._writer is None:
            name = f'{self._output.name}_{len(self.progress.parts)}'
            compressed: Compression = 'storage' if self._job.storage == 'mcap' else 'message'
            self._writing.mkdir(exist_ok=True)
            self._writer = BagWriter(
                self._writing / name,
                storage=self._job.storage,
                compression=compressed if self._job.compress else 'none',
                types=self._types,
                called=self._job.output,
            )
        self._writer.declare(
            message.topic,
            message.type_name,
            latched=message.latched,
            definition=message.definition,
        )
        self._writer.write(message.topic, message.type_name, message.message, message.stamp_ns)

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Complete the file being written; a later run resumes from ``state``."""
        if self._writer is None:
            return
        try:
            self._writer.close()
            self._writer = None
            (made,) = self._writing.iterdir()
            part = _read_metadata(made)
            for name in part['relative_file_paths']:
                flush(made / name)
                (made / name).rename(self._bag / name)
            flush(self._bag)
            self.progress.parts.append(part)
            self.progress.state = state
            self._write('progress.json', json.dumps(asdict(self.progress)))
            shutil.rmtree(self._writing)
        except OSError as error:
            raise write_error(self._job.output, error) from error

    @property
    def kept_images(self) -> int:
        """Images that a later run need not process again."""
        return 0 if self.progress.state is None else int(self.progress.state['images'])

    def finish(
        self, backends: Mapping[str, Sequence[str]], begins_ns: Mapping[Path, int]
    ) -> dict[str, Any]:
        """Move the bag to its output folder and return its metadata.

        Args:
            backends: stage -> runtimes and precisions that computed it, for the metadata.
            begins_ns: input -> stamp of its first picture, for the metadata.
        """
        custom = {f'{BACKEND_KEY}{stage}': ', '.join(names) for stage, names in backends.items()}
        if not self._job.copy_input:
            custom |= inputs_as_custom_data(self._job, begins_ns)
        metadata = _join_metadata(self.progress.parts, custom)
        try:
            text = yaml.safe_dump({_ROOT: metadata}, sort_keys=False)
            self._write(f'bag/{_METADATA}', text)
            replace_folder(self._bag, self._output)
            shutil.rmtree(self.folder)
        except OSError as error:
            raise write_error(self._job.output, error) from error
        return metadata

    def discard(self) -> None:
        """Let `close` drop complete files too: a later run has nothing to resume."""
        self.progress = Progress(self.progress.identity)

    def close(self) -> None:
        """Drop the file being written; keep complete ones, if any, for a later run."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        if self.progress.parts:
            shutil.rmtree(self._writing, ignore_errors=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def _acquire_lock(self) -> int:
        handle = os.open(self.folder / 'lock', os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # The system releases it when the process ends, however it ends.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise OutputError(
                'in_use',
                f'{self._job.output}: another process is writing it. Wait until it ends, or name '
                'another output.',
            ) from error
        return handle

    def _resume(self) -> Progress:
        identity = json.loads(json.dumps(self._job.identity()))
        found = self._found()
        if found is not None and found.identity != identity and not self._job.force:
            different = [key for key in identity if identity[key] != found.identity.get(key)]
            os.close(self._lock)
            raise OutputError(
                'other_job',
                f'{self._job.output}: {self.folder} holds an unfinished run with different '
                f'{" and ".join(different)}. Repeat that command to resume it, or start over with '
                '--force.',
            )
        if found is None or found.identity != identity:
            found = Progress(identity)
        kept = {name for part in found.parts for name in part['relative_file_paths']}
        self._bag.mkdir(exist_ok=True)
        for path in self._bag.iterdir():
            if path.name not in kept:
                path.unlink()
        shutil.rmtree(self._writing, ignore_errors=True)
        return found

    def _found(self) -> Progress | None:
        try:
            progress = Progress(**json.loads((self.folder / 'progress.json').read_text('utf-8')))
        except FileNotFoundError:
            return None
        names = [name for part in progress.parts for name in part['relative_file_paths']]
        # Files are missing when the run had ended and was stopped during its cleanup.
        return progress if all((self._bag / name).exists() for name in names) else None

    def _write(self, name: str, text: str) -> None:
        write_bytes(self.folder / name, text.encode(), durable=True)


def _read_metadata(folder: Path) -> dict[str, Any]:
    """Read the metadata of a bag of one file."""
    text = (folder / _METADATA).read_text(encoding='utf-8')
    found: dict[str, Any] = yaml.safe_load(text)[_ROOT]
    return found


def _join_metadata(parts: Sequence[dict[str, Any]], custom: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of all files together, in their order."""
    begins = [_begin_ns(part) for part in parts]
    ends = [_begin_ns(part) + part['duration']['nanoseconds'] for part in parts]
    topics: dict[str, dict[str, Any]] = {}
    for part in parts:
        for row in part['topics_with_message_count']:
            name = row['topic_metadata']['name']
            known = topics.setdefault(name, {**row, 'message_count': 0})
            known['message_count'] += row['message_count']
    return {
        **parts[0],
        'relative_file_paths': [path for part in parts for path in part['relative_file_paths']],
        'duration': {'nanoseconds': max(ends) - min(begins)},
        'starting_time': {'nanoseconds_since_epoch': min(begins)},
        'message_count': sum(part['message_count'] for part in parts),
        'topics_with_message_count': list(topics.values()),
        'files': [file for part in parts for file in part['files']],
        'custom_data': custom or parts[0].get('custom_data'),
    }


def _begin_ns(part: dict[str, Any]) -> int:
    return int(part['starting_time']['nanoseconds_since_epoch'])
