"""The worker processes, and the bounded queue of the requests that wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
import logging

from robot_perception.core import ModelError, PerceptionError
from robot_perception.pipeline import DEVICE_LOST, PerceptionConfig
from robot_perception.server.job import Answer, Job
from robot_perception.server.problem import ProblemError, retry_after
from robot_perception.server.worker import INTERNAL
from robot_perception.server.worker_process import WorkerEndedError, WorkerProcess

_LOG = logging.getLogger(__name__)
# A process that computes for longer than this and the longest deadline is replaced.
_HANG_S = 300.0
_LONGEST_PAUSE_S = 30.0
# Of the mean time of jobs, the weight of the newest.
_WEIGHT = 0.2


class WorkerPool:
    """Distributes jobs to one worker process for each configuration.

    Attributes:
        ready: workers whose networks are loaded.
        computing: jobs that workers compute.
        restarts: workers that were started again.
        error: why the networks could not be loaded at the start; None if they could.
        on_error: called after `error` is set.
    """

    def __init__(
        self, configs: Sequence[PerceptionConfig], max_waiting: int, max_seconds: float
    ) -> None:
        """Keep the configurations; `start` starts the workers.

        Args:
            configs: one for each worker, which differ in their device.
            max_waiting: jobs that may wait.
            max_seconds: longest deadline of a job; a worker may compute at least as long.
        """
        self.ready = self.computing = self.restarts = 0
        self.error: PerceptionError | None = None
        self.on_error: Callable[[], None] = lambda: None
        self._configs = configs
        self._max_waiting = max_waiting
        self._hang_s = max(_HANG_S, max_seconds)
        self._waiting: dict[asyncio.Future[Answer], Job] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._loaded = asyncio.Event()
        self._pausing = 0
        self._mean_s = 1.0
        self._notes: set[str] = set()

    @property
    def waiting(self) -> int:
        """Number of jobs that wait."""
        return len(self._waiting)

    def start(self) -> None:
        """Start the workers; jobs may be submitted at once."""
        self._tasks = [asyncio.create_task(self._run(config)) for config in self._configs]

    async def close(self) -> None:
        """End the workers; jobs that are left get status 503."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in list(self._waiting):
            _fail(future, _unavailable('stopping', 'expected a running service, got its end.', 1))

    async def wait_loaded(self) -> None:
        """Wait until a worker has loaded its networks for the first time.

        Raises:
            ConfigError, ModelError: they cannot be loaded.
        """
        await self._loaded.wait()
        if self.error is not None:
            raise self.error

    def check(self) -> None:
        """Raise ProblemError if no job would be accepted now: status 429 or 503."""
        if self.error is not None or self._pausing == len(self._configs):
            raise _no_worker()
        if len(self._waiting) >= self._max_waiting:
            seconds = (len(self._waiting) + 1) * self._mean_s / len(self._configs)
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                'queue_full',
                f'expected at most {self._max_waiting} waiting requests, got one more. '
                'Try again after the time in Retry-After.',
                retry_after(seconds),
            )

    def submit(self, job: Job) -> asyncio.Future[Answer]:
        """Queue a job. To cancel its future takes it out of the queue, or drops its result.

        The future raises ProblemError with status 503 if the worker ends, otherwise what
        `worker.compute` raises.

        Raises:
            ProblemError: as `check`.
        """
        self.check()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[future] = job
        future.add_done_callback(lambda one: self._waiting.pop(one, None))
        self._changed.set()
        return future

    async def _run(self, config: PerceptionConfig) -> None:
        """Keep a worker process running until the task is cancelled."""
        worker = WorkerProcess(config, self._changed.set)
        was_ready, failures = False, 0
        try:
            while True:
                try:
                    await worker.start()
                except Exception as error:  # noqa: BLE001 - such as no memory for a process
                    if not was_ready:
                        self._give_up(error)
                        return
                    failures += 1
                    _LOG.error('networks on %s: %s', config.device, error)
                    await self._pause(min(_LONGEST_PAUSE_S, 2.0**failures))
                else:
                    was_ready, failures = True, 0
                    self._loaded.set()
                    _LOG.info('ready: networks loaded on %s', config.device)
                    await self._serve(worker)
                self.restarts += 1
                worker.stop()
        finally:
            worker.close()

    def _give_up(self, error: Exception) -> None:
        """Refuse all jobs, because a worker cannot be started the first time."""
        if not isinstance(error, PerceptionError):
            error = ModelError(
                'no_worker',
                f'expected a process for the networks, got {error!r}. Free memory, processes '
                'and open files of this machine, or raise their limits.',
            )
        self.error = error
        self._loaded.set()
        for future in list(self._waiting):
            _fail(future, _no_worker())
        self.on_error()

    async def _pause(self, seconds: float) -> None:
        self._pausing += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._pausing -= 1

    async def _serve(self, worker: WorkerProcess) -> None:
        """Compute jobs until the worker ends."""
        self.ready += 1
        try:
            while await self._arrival(worker):
                future = next(iter(self._waiting))
                job = self._waiting.pop(future)
                if future.done():
                    continue
                self.computing += 1
                try:
                    await self._compute(worker, future, job)
                finally:
                    self.computing -= 1
        except WorkerEndedError as error:
            _LOG.warning('worker: %s', error)
        finally:
            self.ready -= 1

    async def _arrival(self, worker: WorkerProcess) -> bool:
        """Wait for a job; return whether the worker can compute it."""
        while worker.is_alive:
            if self._waiting:
                return True
            self._changed.clear()
            await self._changed.wait()
        _LOG.warning('worker: the process ended while it waited; it is started again')
        return False

    async def _compute(
        self, worker: WorkerProcess, future: asyncio.Future[Answer], job: Job
    ) -> None:
        """Compute a job and pass the result on.

        Raises:
            WorkerEndedError: the worker is of no use any more.
        """
        clock = asyncio.get_running_loop().time
        start_s = clock()
        try:
            answer = await worker.compute(job, self._hang_s)
        except asyncio.CancelledError:
            _fail(future, _unavailable('stopping', 'expected an answer, got the end.', 1))
            raise
        except WorkerEndedError as error:
            _fail(future, _unavailable(error.reason, str(error), 1))
            raise
        except PerceptionError as error:
            self._refuse(future, error)
            return
        self._mean_s += _WEIGHT * (clock() - start_s - self._mean_s)
        for note in set(answer.notes) - self._notes:
            _LOG.warning('note: %s', note)
        self._notes.update(answer.notes)
        if not future.done():
            future.set_result(answer)

    @staticmethod
    def _refuse(future: asyncio.Future[Answer], error: PerceptionError) -> None:
        """Pass an error on.

        Raises:
            WorkerEndedError: the worker lost its device.
        """
        if error.reason == DEVICE_LOST:
            _fail(future, _unavailable(error.reason, str(error), 1))
            raise WorkerEndedError(error.reason, str(error))
        if error.reason == INTERNAL:
            _LOG.error('an image could not be processed: %s', error)
            error = PerceptionError(
                INTERNAL,
                'expected a result, got an error of the service, which its log has. Report it.',
            )
        _fail(future, error)


def _fail(future: asyncio.Future[Answer], error: PerceptionError) -> None:
    if not future.done():
        future.set_exception(error)


def _no_worker() -> ProblemError:
    return _unavailable(
        'no_worker',
        'expected networks that can be loaded, got an error, which the log of the '
        'service has. Try again later.',
        _LONGEST_PAUSE_S,
    )


def _unavailable(reason: str, message: str, retry_s: float) -> ProblemError:
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, reason, message, retry_after(retry_s))
