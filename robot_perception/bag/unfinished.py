"""A bag that is being written: whole files and a journal, until it takes its place.

Beside the output OUT lies the folder .OUT.part with ``bag`` (what is done), ``writing`` (the file
under way) and the journal. A file is flushed and moved into ``bag`` before the journal names it,
so that after a crash whatever the journal names is whole, and the rest is thrown away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
import fcntl
import json
import os
from pathlib import Path
import shutil
from typing import Any

from robot_perception.bag.job import BagJob
from robot_perception.bag.metadata import joined_metadata, NAME, read_metadata
from robot_perception.conversions import Message
from robot_perception.core import flush, OutputError, replace_folder, write_bytes
from robot_perception.sources import BAG_SUFFIXES, BagWriter, Compression, Definition, Typestore


@dataclass(slots=True)
class Journal:
    """What a run has done so far.

    Attributes:
        identity: of the job; another job does not go on from here.
        parts: metadata of each file, in order.
        state: of the run after the last file; None before the first.

    """

    identity: dict[str, Any]
    parts: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A message on its way into the bag; see `BagWriter.declare` and `write`."""

    topic: str
    type_name: str
    message: Message
    stamp_ns: int
    latched: bool = False
    definition: Definition | None = None


class UnfinishedBag:
    """The bag of a job, from its first file to its place; for one thread at a time."""

    def __init__(self, job: BagJob, types: Typestore) -> None:
        """Begin, or go on where an earlier run of the same job ended.

        Raises:
            OutputError: the output is there and may not be replaced, another job or process is
                not done with it, or the operating system refuses.

        """
        self._job = job
        self._types = types
        self._place = job.output.absolute()
        self.folder = self._place.with_name(f'.{self._place.name}.part')
        self._bag, self._writing = self.folder / 'bag', self.folder / 'writing'
        self._writer: BagWriter | None = None
        if self._place.exists():
            self._check_replaceable()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            self.journal = self._take_up()
        except OSError as error:
            raise self._refused(error) from error

    def write(self, row: Row) -> None:
        """Append a message.

        Raises:
            OutputError: the operating system refused.

        """
        if self._writer is None:
            name = f'{self._place.name}_{len(self.journal.parts)}'
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
            row.topic, row.type_name, latched=row.latched, definition=row.definition
        )
        self._writer.write(row.topic, row.type_name, row.message, row.stamp_ns)

    def keep(self, state: dict[str, Any]) -> None:
        """End the file under way; a later run goes on from ``state``."""
        if self._writer is None:
            return
        try:
            self._writer.close()
            self._writer = None
            (made,) = self._writing.iterdir()
            part = read_metadata(made)
            for name in part['relative_file_paths']:
                flush(made / name)
                (made / name).rename(self._bag / name)
            flush(self._bag)
            self.journal.parts.append(part)
            self.journal.state = state
            self._write('journal.json', json.dumps(asdict(self.journal)))
            shutil.rmtree(self._writing)
        except OSError as error:
            raise self._refused(error) from error

    @property
    def kept_images(self) -> int:
        """Images that a later run need not see again."""
        return 0 if self.journal.state is None else int(self.journal.state['images'])

    def finish(self) -> dict[str, Any]:
        """Move the bag to its place; gives what its metadata say."""
        text = joined_metadata(self.journal.parts)
        try:
            self._write(f'bag/{NAME}', text)
            replace_folder(self._bag, self._place)
            shutil.rmtree(self.folder)
        except OSError as error:
            raise self._refused(error) from error
        return read_metadata(self._place)

    def close(self) -> None:
        """Drop the file under way; keep the whole ones for a later run, if there are any."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        if self.journal.parts:
            shutil.rmtree(self._writing, ignore_errors=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def _check_replaceable(self) -> None:
        if not self._job.force:
            raise OutputError(
                f'{self._job.output}: exists already. Name another output, or replace it with '
                '--force.'
            )
        others = [path.name for path in _inside(self._place) if not _is_of_bag(path)]
        if others:
            raise OutputError(
                f'{self._job.output}: exists already and is no bag: there is {others[0]}. '
                '--force replaces bags only. Name another output.'
            )

    def _locked(self) -> int:
        handle = os.open(self.folder / 'lock', os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # The system lets go of it when the process ends, however it ends.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise OutputError(
                f'{self._job.output}: another process is writing it. Wait for its end, or name '
                'another output.'
            ) from error
        return handle

    def _take_up(self) -> Journal:
        identity = json.loads(json.dumps(self._job.identity()))
        found = self._found()
        if found is not None and found.identity != identity and not self._job.force:
            different = [key for key in identity if identity[key] != found.identity.get(key)]
            os.close(self._lock)
            raise OutputError(
                f'{self._job.output}: an unfinished run lies in {self.folder}, of other '
                f'{" and ".join(different)}. Repeat that command to go on with it, or begin '
                'anew with --force.'
            )
        if found is None or found.identity != identity:
            found = Journal(identity)
        kept = {name for part in found.parts for name in part['relative_file_paths']}
        self._bag.mkdir(exist_ok=True)
        for path in self._bag.iterdir():
            if path.name not in kept:
                path.unlink()
        shutil.rmtree(self._writing, ignore_errors=True)
        return found

    def _found(self) -> Journal | None:
        try:
            journal = Journal(**json.loads((self.folder / 'journal.json').read_text('utf-8')))
        except FileNotFoundError:
            return None
        names = [name for part in journal.parts for name in part['relative_file_paths']]
        # They are gone when the run had ended, and was stopped while it cleaned up.
        return journal if all((self._bag / name).exists() for name in names) else None

    def _write(self, name: str, text: str) -> None:
        write_bytes(self.folder / name, text.encode(), durable=True)

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(
            f'{self._job.output}: cannot be written: {error.strerror or error}. '
            'Check the free space and the permissions.'
        )


def _inside(place: Path) -> list[Path]:
    return sorted(place.iterdir()) if place.is_dir() else [place]


def _is_of_bag(path: Path) -> bool:
    return path.is_file() and (path.name == NAME or bool(set(path.suffixes) & set(BAG_SUFFIXES)))
