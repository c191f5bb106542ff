"""The manifest of an output: what is processed, from what, by what, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
import json
from pathlib import Path
import platform
from typing import Any

from robot_perception import __version__
from robot_perception.core import OutputError, SourceError
from robot_perception.fleet.address import Address
from robot_perception.fleet.job import Entry, Failure

ENTRIES = '.entries'
"""Folder of entries that workers have written and that are not in the manifest yet."""
_NAME = 'manifest.json'
_SCHEMA, _VERSION = 'robot_perception/fleet', 1
_LIBRARIES = ('torch', 'transformers', 'openvino', 'onnxruntime', 'numpy', 'pyarrow', 'ray')
_NO_ACCESS = 'no_access'
_MISSING = ('no_recording', _NO_ACCESS)
# Requests to a remote storage at once.
_REQUESTS = 16


@dataclass(slots=True)
class Manifest:
    """Contents of an output.

    Attributes:
        job: everything but the recordings that the results depend on; see `FleetJob.identity`.
        backends: stage -> runtime and precision that computes it in all recordings; None until it
            is known.
        entries: processed recordings, by name.
        failures: those set aside, by name.
    """

    job: Mapping[str, Any]
    backends: Mapping[str, str] | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    _added: set[str] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        """Add a processed recording, of which a worker has written the entry."""
        self.entries[entry.name] = entry
        self.failures.pop(entry.name, None)
        self._added.add(entry.key)

    def set_aside(self, failure: Failure) -> Entry | None:
        """Add a recording without a result; return an earlier one, which no longer counts.

        That of an input that cannot be reached stays: it may be as it was.
        """
        self.failures[failure.name] = failure
        if failure.reason == _NO_ACCESS and not failure.inputs:
            return None
        return self.entries.pop(failure.name, None)

    def discard_missing(self) -> bool:
        """Remove failures of inputs without a recording; return whether there were any.

        Each run finds them again while they last.
        """
        names = [one.name for one in self.failures.values() if one.reason in _MISSING]
        for name in names:
            del self.failures[name]
        return bool(names)

    def collect(self, output: Address) -> list[Address]:
        """Add the entries that workers have written and that were not added; return all files.

        Raises:
            SourceError: they cannot be read.
        """
        files = _entry_files(output)
        unknown = [file for file in files if file.name.partition('.')[0] not in self._added]
        with ThreadPoolExecutor(_REQUESTS) as pool:
            for text in pool.map(Address.read, unknown):
                if text is not None:
                    self.add(Entry.from_values(json.loads(text)))
        return files

    def write(self, output: Address) -> None:
        """Write the manifest with all entries of workers, and remove those.

        Raises:
            OutputError: the storage refused.
        """
        files = self.collect(output)
        content = {
            'schema': _SCHEMA,
            'version': _VERSION,
            'versions': _versions(),
            'job': self.job,
            'backends': self.backends,
            'recordings': [asdict(self.entries[name]) for name in sorted(self.entries)],
            'failures': [asdict(self.failures[name]) for name in sorted(self.failures)],
        }
        output.child(_NAME).write((json.dumps(content, indent=1) + '\n').encode())
        _remove(files)


def read_manifest(output: Address) -> Manifest | None:
    """Read the manifest with all that workers have finished since it was written; None without.

    Raises:
        SourceError: it cannot be read.
    """
    text = output.child(_NAME).read()
    if text is None:
        return None
    try:
        content = json.loads(text)
        manifest = Manifest(
            content['job'],
            content['backends'],
            {values['name']: Entry.from_values(values) for values in content['recordings']},
            {values['name']: Failure.from_values(values) for values in content['failures']},
        )
        manifest.collect(output)
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            'damaged',
            f'{output.child(_NAME)}: expected a manifest of version {_VERSION}, got: {error}. '
            'Name another output.',
        ) from error
    return manifest


def begin_manifest(
    output: Address, job: Mapping[str, Any], replaced: Iterable[Entry] = ()
) -> Manifest:
    """Write an empty manifest, so that no other job is resumed in the output.

    Args:
        output: folder of all results.
        job: as of `Manifest`.
        replaced: recordings whose results are removed, so that they do not mix with new ones.

    Raises:
        OutputError: the storage refused.
    """
    remove_results(output, replaced)
    _remove(_entry_files(output))
    manifest = Manifest(job)
    manifest.write(output)
    return manifest


def remove_results(output: Address, entries: Iterable[Entry]) -> None:
    """Remove the files of results, and local folders that are empty then.

    Raises:
        OutputError: the storage refused.
    """
    files = [output.child(file.path) for entry in entries for file in entry.outputs]
    _remove(files)
    if (root := output.local) is not None:
        for folder in {Path(file.url).parent for file in files}:
            for one in (folder, *folder.parents):
                if not one.is_relative_to(root) or (one.is_dir() and any(one.iterdir())):
                    break
                if one.is_dir():
                    one.rmdir()


def is_fleet_output(path: Path) -> bool:
    """Return whether a local folder holds the results of a fleet."""
    try:
        with (path / _NAME).open('rb') as file:
            return _SCHEMA.encode() in file.read(200)
    except OSError:
        return False


def result_bags(path: Path) -> dict[str, Path]:
    """Return the result bags in a local output of a fleet, by the names of the recordings.

    Raises:
        SourceError: it is not one, or cannot be read.
    """
    manifest = read_manifest(Address.parse(str(path)))
    if manifest is None:
        raise SourceError(
            'missing_file',
            f'{path}: expected the output of robot-perception fleet, with {_NAME} in it, got none.'
            ' Check the spelling.',
        )
    return {name: path / name for name in sorted(manifest.entries)}


def check_new_output(output: Address) -> None:
    """Raise OutputError if there are files in an output that has no manifest."""
    path = output.local
    if path is None:
        others = [file.path for file in output.find()[:2]] if output.exists() else []
    elif path.is_dir():
        others = sorted(one.name for one in path.iterdir())
    else:
        others = [path.name] if path.exists() else []
    others = [name for name in others if not name.startswith('.lock')]
    if others:
        raise OutputError(
            'exists',
            f'{output}: expected a new folder, or the output of an earlier fleet, got one with '
            f'{others[0]} in it. Choose another.',
        )


def _entry_files(output: Address) -> list[Address]:
    folder = output.child(ENTRIES)
    if not folder.exists():
        return []
    return [folder.child(file.path) for file in folder.find() if file.path.endswith('.json')]


def _remove(files: list[Address]) -> None:
    with ThreadPoolExecutor(_REQUESTS) as pool:
        list(pool.map(Address.remove, files))


def _versions() -> dict[str, str]:
    found = {'robot_perception': __version__, 'python': platform.python_version()}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
