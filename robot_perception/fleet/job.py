"""Description of a fleet's work: all recordings, and the task that one of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
from typing import Any

from robot_perception.bag import BagJob
from robot_perception.core import ConfigError
from robot_perception.fleet.address import Address, FileFacts
from robot_perception.fleet.recordings import FoundRecording

# Topic of the results that the tables are made of.
_SCENE = 'scene'


@dataclass(frozen=True, slots=True)
class FleetJob:
    """Recordings to process, how, and where the results go.

    Attributes:
        recordings: to process, in this order; see `find_recordings`.
        output: folder of all results.
        bag: how each recording is processed; its inputs and its output are those of a task.
        retries: how often a recording that failed is tried again, unless its bag is the cause.
        verify: whether files are hashed to find what has changed; else by size and time.
        force: whether results of another job in the output are replaced.
    """

    recordings: tuple[FoundRecording, ...]
    output: Address
    bag: BagJob
    retries: int = 3
    verify: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if _SCENE not in self.bag.topics:
            raise ConfigError(
                'missing_topic',
                f'topics: expected {_SCENE} among them, of which the tables are made, got '
                f'{", ".join(self.bag.topics)}. Add it.',
            )
        if self.retries < 0:
            raise ConfigError('out_of_range', f'retries: expected 0 or more, got {self.retries}.')

    def identity(self) -> dict[str, Any]:
        """Return everything but the recordings that results depend on, as JSON values."""
        return {name: value for name, value in self.bag.identity().items() if name != 'inputs'}


@dataclass(frozen=True, slots=True)
class RecordingTask:
    """One recording for a worker.

    Attributes:
        name: path of the result below the output.
        source: folder or file of the bag.
        files: of the bag.
        output: folder of all results.
        bag: how it is processed, without inputs and output.
        software: hash of the package that every worker must have.
        lock: token of the output's lock, without which a worker must not write there.
        backends: stage -> runtime and precision that must compute it.
        known: result of an earlier run, kept if no file has changed; None to process anyway.
    """

    name: str
    source: Address
    files: tuple[FileFacts, ...]
    output: Address
    bag: BagJob
    software: str
    lock: str
    backends: Mapping[str, str] = field(default_factory=dict)
    known: Entry | None = None

    @property
    def key(self) -> str:
        """Short name for files, the same in every run."""
        return _key(self.name)

    @property
    def disk_key(self) -> str:
        """Short name for files on a disk where tasks with other outputs have theirs."""
        return _key(f'{self.output}\n{self.name}')


@dataclass(frozen=True, slots=True)
class Entry:
    """A processed recording in the manifest.

    Attributes:
        name: path of the result below the output.
        source: address of the recording.
        inputs: files of the recording.
        outputs: files of the result, by their paths below the output.
        images: with results.
        objects: in all of them.
        counts: images by outcome; see `bag.BagReport`.
        damage: what could not be read from the recording.
        notes: sentences about choices that a user may want to change.
        host: machine that processed it.
        elapsed_s: duration, without copying.
    """

    name: str
    source: str
    inputs: tuple[FileFacts, ...]
    outputs: tuple[FileFacts, ...]
    images: int
    objects: int
    counts: Mapping[str, Any]
    damage: tuple[str, ...]
    notes: tuple[str, ...]
    host: str
    elapsed_s: float

    @property
    def key(self) -> str:
        """Short name for files, that of the task."""
        return _key(self.name)

    @property
    def is_whole(self) -> bool:
        """Whether every image of the recording was read."""
        return not self.damage and not self.counts['rejected']

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Entry:
        """Return the entry of what `dataclasses.asdict` gives."""
        files = {
            key: tuple(FileFacts(**facts) for facts in values[key])
            for key in ('inputs', 'outputs')
        }
        texts = {key: tuple(values[key]) for key in ('damage', 'notes')}
        return cls(**{**values, **files, **texts})


@dataclass(frozen=True, slots=True)
class Failure:
    """A recording without a result.

    Attributes:
        name: of the recording.
        source: its address.
        reason: short stable slug, as of `core.PerceptionError`.
        text: for people.
        is_final: whether another try gives the same.
        where: machine that it failed on, as the engine names it; empty if none did.
        attempts: how often it was tried.
        inputs: files of the recording.
    """

    name: str
    source: str
    reason: str
    text: str
    is_final: bool
    where: str = ''
    attempts: int = 1
    inputs: tuple[FileFacts, ...] = ()

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Failure:
        """Return the failure of what `dataclasses.asdict` gives."""
        return cls(**{**values, 'inputs': tuple(FileFacts(**facts) for facts in values['inputs'])})


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]
