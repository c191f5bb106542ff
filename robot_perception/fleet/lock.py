"""One fleet at a time writes an output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import fcntl
import json
import logging
import os
from pathlib import Path
import secrets
import socket
import threading
import time
from typing import Any

from robot_perception.core import make_folder, OutputError, PerceptionError, write_error
from robot_perception.fleet.address import Address

LOST = 'lost_lock'
"""Reason of the error where another fleet has taken an output over."""
_LOG = logging.getLogger(__name__)
_NAME = '.lock'
_RENEWED_S, _STALE_S = 20.0, 120.0
_PROCESS_PARTS = 4
# Longer than between two renewals.
_WATCHED_S = 30.0
# Longer than a fleet takes from its last look at a lock to one of its own.
_SETTLED_S = 2.0


class Lock:
    """A lock of an output, which holds until the process ends at the latest.

    Attributes:
        token: distinguishes it from the locks of all other fleets.
    """

    def __init__(self, output: Address) -> None:
        """Prepare a lock, which no process holds yet."""
        self.token = secrets.token_hex(8)
        self._output = output
        self._file = output.child(_NAME)
        self._renewed_s: float | None = None
        self._is_lost = False

    def check(self) -> None:
        """Raise OutputError, reason ``'lost_lock'``, if the lock may be that of another fleet."""
        renewed_s = self._renewed_s
        is_late = renewed_s is not None and time.monotonic() - renewed_s > _STALE_S
        # That of a folder is not renewed.
        is_lost = self._is_lost if self._output.local is None else not self._is_ours()
        if is_lost or is_late:
            raise _lost(self._output)

    @contextmanager
    def of_folder(self, folder: Path) -> Iterator[Lock]:
        """Hold the lock of a local folder; the operating system releases it with the process."""
        make_folder(folder)
        try:
            handle = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise write_error(folder, error) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(handle, 0)
                os.pwrite(handle, self._lease(), 0)
            except BlockingIOError:
                raise _in_use(self._output, _parsed(os.pread(handle, 1000, 0))) from None
            except OSError as error:
                raise write_error(folder, error) from error
            yield self
        finally:
            os.close(handle)

    @contextmanager
    def of_storage(self) -> Iterator[Lock]:
        """Hold the lock of a remote storage, where a file names who is at work."""
        self._acquire()
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(ended,), daemon=True)
        renewal.start()
        try:
            yield self
        finally:
            ended.set()
            renewal.join()
            with suppress(PerceptionError):
                # What is left counts for two minutes only.
                if self._is_ours():
                    self._file.remove()

    def _acquire(self) -> None:
        if not self._file.create(self._lease()):
            content = self._file.read() or b''
            if self._is_held(content):
                raise _in_use(self._output, _parsed(content))
            _LOG.warning('%s: removed, since the fleet that wrote it has ended', self._file)
            # Another fleet that found it too may have replaced it meanwhile.
            if (self._file.read() or b'') == content:
                self._file.remove()
            if not self._file.create(self._lease()):
                raise _in_use(self._output, _read(self._file))
        self._renewed_s = time.monotonic()
        # Such a fleet may still replace this one, and not all storages refuse to make a file
        # twice.
        time.sleep(_SETTLED_S)
        if not self._is_ours():
            raise _in_use(self._output, _read(self._file))

    def _is_held(self, content: bytes) -> bool:
        """Return whether the fleet that wrote a lock is at work."""
        found = _parsed(content)
        process, here = found.get('process'), _process(os.getpid())
        if process and here is not None and process[:2] == here[:2]:
            # Of this machine, and of the same container.
            return bool(process == _process(process[2]))
        time_s = found.get('time_s')
        if isinstance(time_s, int | float) and time.time() - time_s < _STALE_S:
            return True
        # The clocks of two machines may differ.
        _LOG.info('%s: waiting %g s whether another fleet renews it', self._file, _WATCHED_S)
        time.sleep(_WATCHED_S)
        return self._file.read() != content

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(_RENEWED_S):
            with suppress(PerceptionError):
                # The next may succeed; many can fail before the lock ends.
                if not self._is_ours():
                    self._is_lost = True
                    return
                self._file.write(self._lease())
                self._renewed_s = time.monotonic()

    def _is_ours(self) -> bool:
        return _has_token(self._file, self.token)

    def _lease(self) -> bytes:
        owner = {'host': socket.gethostname(), 'process': _process(os.getpid())}
        return json.dumps({**owner, 'token': self.token, 'time_s': time.time()}).encode()


@contextmanager
def locked(output: Address) -> Iterator[Lock]:
    """Lock an output, until the process ends at the latest.

    A local folder is locked by the operating system, on NFS across machines. In a remote storage
    a file names who is at work; it is renewed, and no longer counts after two minutes without.

    Raises:
        OutputError: reason ``'in_use'``: another fleet writes it; or it cannot be written.
    """
    path, lock = output.local, Lock(output)
    with lock.of_storage() if path is None else lock.of_folder(path):
        yield lock


def check_lock(output: Address, token: str) -> None:
    """Raise OutputError, reason ``'lost_lock'``, unless an output has the lock with this token.

    For workers, which may outlive the fleet that started them.
    """
    if not _has_token(output.child(_NAME), token):
        raise _lost(output)


def _process(number: int) -> list[Any] | None:
    """Return what no other process has: boot, namespace, number and start; None if it ended."""
    try:
        boot = Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()
        namespace = str(Path('/proc/self/ns/pid').readlink())
        status = Path(f'/proc/{number}/stat').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return None
    return [boot, namespace, number, status.rpartition(')')[2].split()[19]]


def _has_token(file: Address, token: str) -> bool:
    return bool(_read(file).get('token') == token)


def _read(file: Address) -> dict[str, Any]:
    return _parsed(file.read() or b'')


def _parsed(content: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(content)
        if isinstance(found, dict):
            process = found.get('process')
            is_process = isinstance(process, list) and len(process) == _PROCESS_PARTS
            return found if is_process else {**found, 'process': None}
    return {}


def _in_use(output: Address, found: dict[str, Any]) -> OutputError:
    process = found.get('process')
    number = process[2] if process else 'unknown'
    return OutputError(
        'in_use',
        f'{output}: another fleet is writing it (process {number} of '
        f'{found.get("host", "another machine")}). Wait until it ends, or name another output.',
    )


def _lost(output: Address) -> OutputError:
    return OutputError(
        LOST,
        f'{output}: expected the lock of this fleet, which another has taken over or which could '
        'not be renewed for two minutes. Run the same command again when no other is at work.',
    )
