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

from robot_perception.core import make_folder, OutputError, PerceptionError, write_error
from robot_perception.fleet.address import Address

_LOG = logging.getLogger(__name__)
_NAME = '.lock'
_RENEWED_S, _STALE_S = 20.0, 120.0


@contextmanager
def locked(output: Address) -> Iterator[None]:
    """Lock an output, until the process ends at the latest.

    A local folder is locked by the operating system, on NFS across machines. In a remote storage
    a file names who is at work; it is renewed, and no longer counts after two minutes without.

    Raises:
        OutputError: reason ``'in_use'``: another fleet writes it; or it cannot be written.
    """
    path = output.local
    with _locked_folder(path) if path is not None else _leased(output.child(_NAME)):
        yield


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    make_folder(folder)
    try:
        handle = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f'{socket.gethostname()} process {os.getpid()}'.encode(), 0)
    except BlockingIOError:
        owner = os.pread(handle, 200, 0).decode(errors='replace')
        os.close(handle)
        raise _in_use(Address(str(folder)), owner) from None
    except OSError as error:
        os.close(handle)
        raise write_error(folder, error) from error
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def _leased(file: Address) -> Iterator[None]:
    token = secrets.token_hex(8)
    if not file.create(_lease(token)):
        found = json.loads(file.read() or b'{}')
        if _is_held(found):
            output = Address(file.url.rpartition('/')[0])
            raise _in_use(output, f'{found["host"]} process {found["pid"]}')
        _LOG.warning('%s: removed, since the fleet that wrote it has ended', file)
        file.remove()
        if not file.create(_lease(token)):
            raise _in_use(Address(file.url.rpartition('/')[0]), 'another machine')
    ended = threading.Event()
    renewal = threading.Thread(target=_renew, args=(file, token, ended), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        file.remove()


def _renew(file: Address, token: str, ended: threading.Event) -> None:
    while not ended.wait(_RENEWED_S):
        with suppress(PerceptionError):
            # The next may succeed; many can fail before the lease ends.
            file.write(_lease(token))


def _lease(token: str) -> bytes:
    owner = {'host': socket.gethostname(), 'pid': os.getpid()}
    return json.dumps({**owner, 'token': token, 'time_s': time.time()}).encode()


def _is_held(found: dict[str, object]) -> bool:
    if found.get('host') == socket.gethostname() and isinstance(found.get('pid'), int):
        return Path(f'/proc/{found["pid"]}').exists()
    time_s = found.get('time_s')
    return isinstance(time_s, int | float) and time.time() - time_s < _STALE_S


def _in_use(output: Address, owner: str) -> OutputError:
    return OutputError(
        'in_use',
        f'{output}: another fleet is writing it ({owner}). Wait until it ends, or name another '
        'output.',
    )
