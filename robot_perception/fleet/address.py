"""Files and folders on a local disk or in any storage that fsspec knows, by one interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
import hashlib
import os
from pathlib import Path
import re
import shutil
from typing import Any

from robot_perception.core import (
    make_folder,
    OutputError,
    PerceptionError,
    replacing_file,
    requires,
    SourceError,
    write_bytes,
)

_SCHEME = re.compile(r'([a-z][a-z0-9+.-]*)://', re.IGNORECASE)
_TIMES = ('mtime', 'LastModified', 'updated', 'last_modified', 'created')
_BLOCK = 1 << 20
_NANOSECONDS = 1_000_000_000
# Storage -> what gives access to it.
_CREDENTIALS = {
    's3': 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, on every worker',
    'gs': 'Set GOOGLE_APPLICATION_CREDENTIALS on every worker',
}
_LIBRARIES = {'s3': 's3fs', 's3a': 's3fs', 'gs': 'gcsfs', 'gcs': 'gcsfs', 'abfs': 'adlfs'}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Identity of the content of a file.

    Attributes:
        path: below the folder that was listed; the name for a single file.
        size: bytes.
        modified_ns: time of the last change, nanoseconds since 1970; None if unknown.
        sha256: hash of the content, None if it was not read.
    """

    path: str
    size: int
    modified_ns: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A file or folder: an absolute local path, or an address such as ``s3://bucket/bags``.

    Methods raise SourceError (reading) or OutputError (writing), reason ``'no_access'``, when the
    storage refuses.
    """

    url: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address of a path or URL; a local path is made absolute, links kept."""
        found = _SCHEME.match(text)
        if found is None or found[1].lower() in {'file', 'local'}:
            path = text if found is None else text[found.end() :]
            return cls(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - links are kept
        return cls(text.rstrip('/'))

    def __str__(self) -> str:
        """Return the path or URL."""
        return self.url

    @property
    def local(self) -> Path | None:
        """Path on this machine; None for a remote storage."""
        return None if _SCHEME.match(self.url) else Path(self.url)

    @property
    def name(self) -> str:
        """Last part."""
        return self.url.rpartition('/')[2]

    def child(self, path: str) -> Address:
        """Return the address of a path below this one."""
        return Address(f'{self.url.rstrip("/")}/{path}') if path else self

    def find(self) -> list[FileFacts]:
        """List all files below a folder, or the file itself, ordered by path; hidden ones too."""
        if (path := self.local) is not None:
            with self._reading():
                return sorted(_local_files(path), key=lambda one: one.path)
        with self._reading():
            storage, root = self._storage()
            found = storage.find(root, detail=True)
            # fsspec finds a file at its own path, without its facts.
            found = {path: facts or storage.info(path) for path, facts in found.items()}
        files = []
        for path, facts in found.items():
            below = path.removeprefix(root).lstrip('/')
            files.append(FileFacts(below or self.name, int(facts['size']), _modified_ns(facts)))
        return sorted(files, key=lambda one: one.path)

    def glob(self) -> list[Address]:
        """Return the existing addresses that match ``*``, ``?`` and ``[]`` in this one."""
        with self._reading():
            storage, root = self._storage()
            found = [storage.unstrip_protocol(path) for path in sorted(storage.glob(root))]
        return [self.parse(one) for one in found]

    def exists(self) -> bool:
        """Return whether there is a file or folder."""
        with self._reading():
            if (path := self.local) is not None:
                return path.exists()
            storage, root = self._storage()
            return bool(storage.exists(root))

    def read(self) -> bytes | None:
        """Return the content of a file, None if there is none."""
        with self._reading():
            try:
                if (path := self.local) is not None:
                    return path.read_bytes()
                storage, root = self._storage()
                return bytes(storage.cat_file(root))
            except FileNotFoundError:
                return None

    def write(self, content: bytes) -> None:
        """Write a file as a whole or not at all, replacing one that is there."""
        if (path := self.local) is not None:
            make_folder(path.parent)
            write_bytes(path, content, durable=True)
            return
        with self._writing():
            storage, root = self._storage()
            storage.pipe_file(root, content)

    def create(self, content: bytes) -> bool:
        """Write a file in a remote storage that is not there; return False if it is.

        Not all storages refuse a file that is made at the same time.
        """
        with self._writing():
            storage, root = self._storage()
            if storage.exists(root):
                return False
            try:
                storage.pipe_file(root, content, mode='create')
            except FileExistsError:
                return False
            except (NotImplementedError, TypeError):
                # Of storages that cannot refuse.
                storage.pipe_file(root, content)
        return True

    def remove(self) -> None:
        """Remove a file; nothing happens if there is none."""
        with self._writing():
            if (path := self.local) is not None:
                path.unlink(missing_ok=True)
                return
            storage, root = self._storage()
            if storage.exists(root):
                storage.rm_file(root)

    def download(self, target: Path) -> None:
        """Copy a file to a local one, whole or not at all.

        Raises:
            SourceError: it cannot be read.
            OutputError: the local file cannot be written.
        """
        make_folder(target.parent)
        with replacing_file(target) as part, part.open('wb') as file:
            with self._reading():
                opened = self._open()
            with opened:
                while True:
                    with self._reading():
                        block = opened.read(_BLOCK)
                    if not block:
                        break
                    file.write(block)

    def upload(self, source: Path) -> None:
        """Copy a local file here, where it appears as a whole."""
        if (path := self.local) is not None:
            make_folder(path.parent)
            with replacing_file(path) as part:
                shutil.copyfile(source, part)
            return
        with self._writing():
            storage, root = self._storage()
            storage.put_file(str(source), root)

    def sha256(self) -> str:
        """Return the hash of a file in hexadecimal digits."""
        total = hashlib.sha256()
        with self._reading(), self._open() as file:
            while block := file.read(_BLOCK):
                total.update(block)
        return total.hexdigest()

    def _open(self) -> Any:  # noqa: ANN401 - fsspec has no types
        if (path := self.local) is not None:
            return path.open('rb')
        storage, root = self._storage()
        return storage.open(root, 'rb', block_size=_BLOCK, cache_type='readahead')

    def _storage(self) -> tuple[Any, str]:
        # It takes memory and time that local files do not need.
        from fsspec.core import url_to_fs  # noqa: PLC0415

        scheme = self.url.partition('://')[0]
        with requires(_LIBRARIES.get(scheme, scheme)):
            try:
                storage, root = url_to_fs(self.url, use_listings_cache=False)
            except ImportError as error:
                # fsspec hides which module it is.
                raise ModuleNotFoundError(
                    str(error), name=_LIBRARIES.get(scheme, scheme)
                ) from error
        return storage, root.rstrip('/')

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._access(SourceError, 'read'):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._access(OutputError, 'written'):
            yield

    @contextmanager
    def _access(self, kind: type[PerceptionError], done: str) -> Iterator[None]:
        """Replace the errors of storages, whose libraries have no common class of them."""
        try:
            yield
        except PerceptionError:
            raise
        except Exception as error:
            scheme = self.url.partition('://')[0]
            cause = getattr(error, 'strerror', None) or str(error) or type(error).__name__
            if 'Protocol not known' in cause:
                import fsspec  # noqa: PLC0415 - as above

                known = ', '.join(sorted(fsspec.available_protocols()))
                cause, advice = f'{scheme} is no storage', f'Use a path or one of: {known}'
            else:
                advice = _CREDENTIALS.get(scheme, 'Check the name and its permissions')
            raise kind(
                'no_access', f'{self.url}: cannot be {done}: {cause.rstrip(".")}. {advice}.'
            ) from error


def _local_files(root: Path) -> Iterator[FileFacts]:
    """Yield the files below a folder, links followed, or the file itself."""
    if not root.is_dir():
        if root.exists():
            yield _local_file(root.name, root.stat())
        return
    above = len(str(root)) + 1
    # Folder -> the real paths of it and of those above it.
    real_paths: dict[str, frozenset[str]] = {}

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        real, upper = os.path.realpath(folder), folder.rpartition('/')[0]
        if real in real_paths.get(upper, ()):
            # A link that leads back.
            folders.clear()
            continue
        real_paths[folder] = real_paths.get(upper, frozenset()) | {real}
        below = f'{folder[above:]}/'.lstrip('/')
        for name in names:
            path = f'{folder}/{name}'
            if os.path.isfile(path):  # noqa: PTH113 - many files
                yield _local_file(below + name, os.stat(path))  # noqa: PTH116 - as above


def _local_file(path: str, facts: os.stat_result) -> FileFacts:
    return FileFacts(path, facts.st_size, facts.st_mtime_ns)


def _modified_ns(facts: dict[str, Any]) -> int | None:
    for key in _TIMES:
        value = facts.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            value = value.timestamp()
        if isinstance(value, int | float):
            return round(value * _NANOSECONDS)
    return None
