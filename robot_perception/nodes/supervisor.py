"""Supervises the worker: replaces it once if it hangs, and gives up at the second time."""

from __future__ import annotations

import time

from robot_perception.core import PerceptionError
from robot_perception.nodes.stage_limits import LateStage
from robot_perception.nodes.worker import FrameWorker

_JOIN_S = 1.5
_MAX_CHECK_PERIOD_S = 3.0


class WorkerError(PerceptionError):
    """Only a restart of the process helps."""


class WorkerSupervisor:
    """Runs one worker at a time.

    Attributes:
        worker: the current one, None while the node is not active.
        trouble: what was wrong with the last one until its successor publishes, else empty.
    """

    def __init__(self) -> None:
        """Start without a worker."""
        self.worker: FrameWorker | None = None
        self.trouble = ''
        self._abandoned: list[FrameWorker] = []
        self._hangs = 0
        self._checked_s = time.monotonic()

    @property
    def has_abandoned_thread(self) -> bool:
        """Whether a thread that was abandoned still runs."""
        return any(worker.is_alive for worker in self._abandoned)

    @property
    def hangs(self) -> bool:
        """Whether the current thread, or one that was abandoned, takes too long for a stage."""
        workers = [*self._abandoned, *(() if self.worker is None else (self.worker,))]
        return any(one.is_alive and one.late_stage() is not None for one in workers)

    def start(self, worker: FrameWorker) -> None:
        """Start a worker."""
        self.worker = worker
        worker.start()

    def stop(self) -> FrameWorker | None:
        """End the worker, whose queue is closed; abandon it if it does not end within seconds.

        Returns:
            One whose processor can be used again, None without a worker.
        """
        worker, self.worker, self.trouble = self.worker, None, ''
        if worker is None:
            return None
        if worker.join(0.0 if worker.late_stage() else _JOIN_S) or not worker.abandon():
            return worker
        self._abandoned.append(worker)
        return worker.successor()

    def check(self) -> LateStage | None:
        """Replace the worker if it hangs, and return the stage that is late; call every second.

        Raises:
            WorkerError: it hangs for the second time, or its GPU is lost.
        """
        worker, stopped_s = self.worker, self._seconds_stopped()
        if worker is None:
            return None
        if worker.fatal_error:
            raise WorkerError('device_lost', worker.fatal_error)
        late = worker.late_stage(stopped_s)
        if not worker.has_ended and (late is None or not late.hangs):
            if late is None and any(one.health.model == '' for one in worker.cameras):
                self.trouble = ''
            return late
        if not worker.abandon():
            return None
        what = str(late) if late is not None else 'a thread of the worker has ended'
        self._abandoned.append(worker)
        self._hangs += 1
        if self._hangs > 1:
            self.worker = None
            raise WorkerError('hang', f'{what}, for the second time. Restart the process.')
        self.trouble = f'{what}; it was abandoned and its network is loaded again'
        self.start(worker.successor())
        return late

    def _seconds_stopped(self) -> float:
        """Return the seconds in which no thread ran since the last call, as in a debugger."""
        now_s = time.monotonic()
        seconds, self._checked_s = now_s - self._checked_s, now_s
        return seconds if seconds > _MAX_CHECK_PERIOD_S else 0.0
