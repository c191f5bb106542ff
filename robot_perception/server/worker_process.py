"""A worker process as its parent controls it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from robot_perception.core import PerceptionError
from robot_perception.pipeline import PerceptionConfig
from robot_perception.server.job import Answer, Job
from robot_perception.server.worker import run_worker

# Downloads do not happen; compiling of networks for another runtime takes minutes.
_LONGEST_START_S = 900.0
_END_S = 2.0


class WorkerEndedError(PerceptionError):
    """The process ended or was ended, such as by a crash of a native library."""


class WorkerProcess:
    """Starts the process of one device, passes jobs to it, and ends it."""

    def __init__(self, config: PerceptionConfig, on_end: Callable[[], None]) -> None:
        """Keep the parameters of the networks; ``on_end`` is called when the process has ended."""
        self._config = config
        self._on_end = on_end
        self._process: BaseProcess | None = None
        self._is_running = False
        self._connection: Connection | None = None
        # Reading from the connection blocks.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='worker')

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._is_running

    async def start(self) -> None:
        """Start the process and wait until its networks are loaded.

        Raises:
            ConfigError, ModelError: the networks cannot be loaded.
            WorkerEndedError: the process ended, or its start took too long.
            OSError: the operating system has no process or no open file left.
        """
        context = multiprocessing.get_context('spawn')
        connection, theirs = context.Pipe()
        process = context.Process(
            target=run_worker, args=(self._config, theirs), name='networks', daemon=True
        )
        # Without this copy the connection ends with the process.
        with theirs:
            process.start()
        self._connection, self._process = connection, process
        loop, sentinel = asyncio.get_running_loop(), process.sentinel

        def ended() -> None:
            loop.remove_reader(sentinel)
            # The process may not be collected yet, and still be alive by its own account.
            self._is_running = False
            self._on_end()

        self._is_running = True
        loop.add_reader(sentinel, ended)
        error = await loop.run_in_executor(self._thread, _receive, connection, _LONGEST_START_S)
        if isinstance(error, PerceptionError):
            raise error

    async def compute(self, job: Job, limit_s: float) -> Answer:
        """Compute a job.

        Raises:
            PerceptionError: of `compute` in the process.
            WorkerEndedError: the process ended, or took longer than the limit.
        """
        answer: Answer | PerceptionError = await asyncio.get_running_loop().run_in_executor(
            self._thread, _compute, self._connection, job, limit_s
        )
        if isinstance(answer, PerceptionError):
            raise answer
        return answer

    def stop(self) -> None:
        """End the process; nothing is lost, since it keeps no state."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        self._is_running = False
        if process is None or connection is None:
            return
        asyncio.get_running_loop().remove_reader(process.sentinel)
        process.kill()
        process.join(_END_S)
        connection.close()

    def close(self) -> None:
        """End the process and the thread."""
        self.stop()
        self._thread.shutdown(wait=False)


def _compute(connection: Connection | None, job: Job, limit_s: float) -> Any:  # noqa: ANN401 - pickled
    if connection is None:
        raise _ended()
    try:
        connection.send(job)
    except OSError as error:
        raise _ended() from error
    return _receive(connection, limit_s)


def _receive(connection: Connection, limit_s: float) -> Any:  # noqa: ANN401 - pickled
    try:
        if connection.poll(limit_s):
            return connection.recv()
    except (EOFError, OSError) as error:
        raise _ended() from error
    raise WorkerEndedError(
        'worker_hangs',
        f'expected an answer of the networks within {limit_s:g} s, got none; their process is '
        'started again. Try again, with a smaller image if it happens twice.',
    )


def _ended() -> WorkerEndedError:
    return WorkerEndedError(
        'worker_ended',
        'expected an answer of the networks, got the end of their process, which is started '
        'again. Try again; if the same image ends it twice, report it.',
    )
