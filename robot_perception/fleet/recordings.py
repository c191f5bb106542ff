"""Search for recordings, and their names in the output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import os
from pathlib import Path, PurePosixPath

from robot_perception.core import ConfigError, SourceError
from robot_perception.fleet.address import Address, FileFacts
from robot_perception.sources import is_storage_name

_METADATA = 'metadata.yaml'


@dataclass(frozen=True, slots=True)
class FoundRecording:
    """A recording to process.

    Attributes:
        name: path of its result below the output; mirrors that of the recording.
        source: folder or file of the bag.
        files: of the bag, ordered by path; their paths are below a folder, or the name of the
            file. None are known of what cannot be read.
        problem: why it cannot be processed, None if it can.
    """

    name: str
    source: Address
    files: tuple[FileFacts, ...]
    problem: SourceError | None = None


def find_recordings(specs: Iterable[str], output: Address) -> tuple[FoundRecording, ...]:
    """Find the recordings that paths and addresses name, ordered by name.

    A spec is a bag, a single file of one, a folder with any number of bags at any depth, or with
    ``*`` several of these. The result of ``bags/day_1/run`` is named ``bags/day_1/run``, that of
    ``/data/run`` ``data/run`` and that of ``s3://bucket/run`` ``bucket/run``.

    What cannot be read is in the list, with its problem.

    Raises:
        ConfigError: two recordings have one name, or the output is not apart from them.
    """
    found: dict[str, FoundRecording] = {}
    for spec in specs:
        _check_apart(spec, output)
        for one in _expanded(spec):
            other = found.setdefault(one.name, one)
            if other.source != one.source:
                raise ConfigError(
                    'same_name',
                    f'{one.source} and {other.source}: expected recordings with different paths, '
                    f'got two whose result is {one.name}. Process one of them into another '
                    'output.',
                )
    return tuple(sorted(found.values(), key=lambda one: one.name))


def _check_apart(spec: str, output: Address) -> None:
    source, target = f'{Address.parse(spec).url}/', f'{output.url}/'
    if target.startswith(source) or source.startswith(target):
        raise ConfigError(
            'overlapping_paths',
            f'output: expected a folder apart from the inputs, got {output}, with the input '
            f'{spec}. Name another output.',
        )


def _expanded(spec: str) -> Iterator[FoundRecording]:
    address = Address.parse(spec)
    try:
        is_pattern = any(mark in address.url for mark in '*?[') and not address.exists()
        addresses = address.glob() if is_pattern else [address]
        found = [one for target in addresses for one in _below(target, _name(spec, target))]
    except SourceError as error:
        yield FoundRecording(_name(spec, address), address, (), error)
        return
    if not found:
        problem = SourceError(
            'no_recording',
            f'{address}: expected a rosbag2 or a folder with some, got none. Check the spelling.',
        )
        yield FoundRecording(_name(spec, address), address, (), problem)
    yield from found


def _below(root: Address, name: str) -> Iterator[FoundRecording]:
    """Yield the recordings in one listing: folders of bags, and other files of bags by themselves.

    Files that do not belong to a bag, and hidden folders, are left out.
    """
    folders: defaultdict[str, list[FileFacts]] = defaultdict(list)
    for file in root.find():
        if not any(part.startswith('.') for part in PurePosixPath(file.path).parts):
            folders[file.path.rpartition('/')[0]].append(file)
    for folder, files in folders.items():
        storage = [file for file in files if is_storage_name(Path(file.path))]
        if any(PurePosixPath(file.path).name == _METADATA for file in files):
            below = tuple(_in_folder(file) for file in files)
            yield FoundRecording(_joined(name, folder), root.child(folder), below)
        elif folder == '' and [file.path for file in files] == [root.name]:
            if storage:
                yield FoundRecording(_without_suffix(name), root, tuple(storage))
        else:
            for file in storage:
                source = root.child(file.path)
                yield FoundRecording(
                    _without_suffix(_joined(name, file.path)), source, (_in_folder(file),)
                )


def _name(spec: str, address: Address) -> str:
    """Return the path of an address for the output, as it was given where that is relative."""
    path = address.local
    if path is None:
        return address.url.partition('://')[2].strip('/') or 'root'
    if not Path(spec).expanduser().is_absolute():
        relative = os.path.relpath(path)
        if not relative.startswith('..') and relative != '.':
            return relative
    return str(path).strip('/') or 'root'


def _joined(name: str, below: str) -> str:
    return f'{name}/{below}' if below else name


def _in_folder(file: FileFacts) -> FileFacts:
    return FileFacts(PurePosixPath(file.path).name, file.size, file.modified_ns)


def _without_suffix(name: str) -> str:
    """Return the name of a result, which is a folder, for a single file of a bag."""
    path = PurePosixPath(name)
    while is_storage_name(Path(path.name)):
        path = path.with_suffix('')
    return str(path)
