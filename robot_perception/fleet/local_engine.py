"""Workers that are processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Collection
import multiprocessing
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
import os
from pickle import UnpicklingError
import signal
import threading
from typing import Any

from robot_perception.fleet.engine import WorkerLost
from robot_perception.fleet.job import Failure

# Imported once; each worker is forked with it.
_PRELOADED = ['robot_perception.fleet.recording_task', 'robot_perception.fleet.table_writer']
_EXIT_ORPHANED = 1
_STOP_LIMIT_S = 5.0


class LocalEngine:
    """Runs each function in one of a fixed number of processes, which serve again and again."""

    def __init__(self, workers: int) -> None:
        """Start without processes; they are started when they are needed."""
        self.slots = workers
        self._context = multiprocessing.get_context('forkserver')
        self._context.set_forkserver_preload(_PRELOADED)
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[str, _Worker]] = {}

    def submit(
        self,
        key: str,
        function: Callable[[Any], object],
        argument: object,
        avoid: Collection[str] = (),
    ) -> None:
        """Run a function in a process; see `Engine`. There is one machine only."""
        del avoid
        worker = self._idle.pop() if self._idle else _Worker(self._context)
        worker.start(function, argument)
        self._busy[worker.connection] = key, worker

    def next_result(self, timeout_s: float | None) -> tuple[str, object, str] | None:
        """Wait for any submitted function; see `Engine`."""
        for ready in wait(list(self._busy), timeout_s):
            assert isinstance(ready, Connection)  # noqa: S101 - only these are waited for
            key, worker = self._busy.pop(ready)
            result = worker.result()
            if isinstance(result, WorkerLost) or _ends_worker(result):
                worker.end()
            else:
                self._idle.append(worker)
            return key, result, ''
        return None

    def close(self) -> None:
        """End the processes, at work or not."""
        workers = [*self._idle, *(worker for _, worker in self._busy.values())]
        self._idle, self._busy = [], {}
        for worker in workers:
            worker.end()


class _Worker:
    """A process that runs one function after the other."""

    def __init__(self, context: ForkServerContext) -> None:
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def start(self, function: Callable[[Any], object], argument: object) -> None:
        try:
            self.connection.send((function, argument))
        except OSError:
            # It was killed while it had nothing to do; `result` reports it.
            return

    def result(self) -> object:
        try:
            return self.connection.recv()
        except (EOFError, OSError, UnpicklingError):
            self._process.join(_STOP_LIMIT_S)
            return WorkerLost(f'the worker process {_ended(self._process.exitcode)}')

    def end(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join(_STOP_LIMIT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _ends_worker(result: object) -> bool:
    """Return whether a process is replaced: its state may be why it failed."""
    return isinstance(result, Failure) and not result.is_final


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f'ended with {code}'
    name = signal.Signals(-code).name
    hint = '; the machine may lack memory for so many workers' if -code == signal.SIGKILL else ''
    return f'was ended by {name}{hint}'


def _serve(connection: Connection) -> None:
    """Run functions until the engine closes the connection or ends."""
    # Ctrl-C reaches all processes of a terminal; the engine ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            function, argument = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(function(argument))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(_EXIT_ORPHANED)
