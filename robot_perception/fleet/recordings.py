"""Search for recordings, and their names in the output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
import itertools
import os
from pathlib import Path, PurePosixPath

from robot_perception.core import ConfigError, SourceError
from robot_perception.fleet.address import Address, FileFacts
from robot_perception.fleet.dataset import DATASET, TABLES
from robot_perception.sources import is_storage_name

# What an output has beside the results of recordings.
_RESERVED = (
    *('.entries', '.work', '.lock', 'manifest.json'),
    *(f'{DATASET}/{table}' for table in TABLES),
)
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
    ``/data/run`` ``data/run`` and that of ``s3://bucket/run`` ``bucket/run``. A recording that
    is named several times, also by links, is there once, as it was named first.

    What cannot be read is in the list, with its problem.

    Raises:
        ConfigError: a result would have the place of another or of the dataset, or the output is
            not apart from the recordings.
    """
    by_source: dict[str, FoundRecording] = {}
    for spec in specs:
        _check_apart(Address.parse(spec), output)
        for one in _expanded(spec, output):
            by_source.setdefault(_real(one.source), one)
    found: dict[str, FoundRecording] = {}
    for one in by_source.values():
        other = found.setdefault(one.name, one)
        if other is not one:
            raise ConfigError(
                'same_name',
                f'{one.source} and {other.source}: expected recordings with different paths, got '
                f'two whose result is {one.name}. Process one of them into another output.',
            )
    for one in found.values():
        _check_place(one, found)
    return tuple(sorted(found.values(), key=lambda one: one.name))


def recording_files(source: Address) -> tuple[FileFacts, ...]:
    """Return the files of a recording as they are now: those of its folder, or the file itself.

    Raises:
        SourceError: they cannot be listed.
    """
    files = [file for file in source.find() if '/' not in file.path]
    return tuple(_in_folder(file) for file in files if not _is_hidden(file))


def _check_apart(source: Address, output: Address) -> None:
    """Raise ConfigError if an input is in an output, holds it, or as a pattern matches it."""
    one, other = _real(source, is_spec=True), _real(output)
    matches = _matches(source.url, output.url) or _matches(one, other)
    if _is_in(one, other) or _is_in(other, one) or matches:
        raise ConfigError(
            'overlapping_paths',
            f'output: expected a folder apart from the inputs, got {output}, with the input '
            f'{source}. Name another output.',
        )


def _check_place(one: FoundRecording, found: Mapping[str, FoundRecording]) -> None:
    """Raise ConfigError if a result would be in the folder of another one or of the tables."""
    for taken in _RESERVED:
        if _is_in(one.name, taken) or _is_in(taken, one.name):
            raise ConfigError(
                'reserved_name',
                f'{one.source}: expected a name for the result other than {one.name}, since an '
                f'output has {taken} itself. Name the recording by its absolute path, or rename '
                'it.',
            )
    for above in PurePosixPath(one.name).parents:
        other = found.get(str(above))
        if other is not None and one.problem is other.problem is None:
            raise ConfigError(
                'nested_recordings',
                f'{one.source}: expected recordings apart from each other, got one in the place '
                f'of {other.source}, so that its result would be in that one. Name only one of '
                'them, or move it.',
            )


def _is_in(inner: str, outer: str) -> bool:
    return f'{inner}/'.startswith(f'{outer.rstrip("/")}/')


def _real(address: Address, *, is_spec: bool = False) -> str:
    """Return an address without links; that of a pattern up to its first mark."""
    if (path := address.local) is None:
        return address.url
    if not is_spec or path.exists():
        return os.path.realpath(path)
    parts = address.url.split('/')
    fixed = [*itertools.takewhile(lambda part: not _is_pattern(part), parts)]
    return '/'.join([os.path.realpath('/'.join(fixed) or '/'), *parts[len(fixed) :]])


def _matches(source: str, output: str) -> bool:
    """Return whether an output, or a folder above it, is among what a pattern will match."""
    parts = source.split('/')
    if not any(map(_is_pattern, parts)):
        return False
    there = output.split('/')
    for part, name in zip(parts, there, strict=False):
        if part == '**':
            return True
        if not (part == name or (_is_pattern(part) and fnmatchcase(name, part))):
            return False
    return len(parts) <= len(there)


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in '*?[')


def _is_hidden(file: FileFacts) -> bool:
    return any(part.startswith('.') for part in PurePosixPath(file.path).parts)


def _expanded(spec: str, output: Address) -> Iterator[FoundRecording]:
    address = Address.parse(spec)
    try:
        is_pattern = _is_pattern(address.url) and not address.exists()
        addresses = address.glob() if is_pattern else [address]
        for target in addresses:
            # It may be a link.
            _check_apart(target, output)
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
        if not _is_hidden(file):
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
