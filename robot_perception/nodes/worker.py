"""Process the newest images of all cameras on a thread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
import threading

from robot_perception.core import PerceptionError
from robot_perception.nodes.camera_processor import CameraProcessor
from robot_perception.nodes.slot import FrameQueue
from robot_perception.nodes.stage_limits import LateStage, StageLimits
from robot_perception.pipeline import DEVICE_LOST, is_compiling, Stopwatch

HANG = 'hang'
"""Reason of a frame that was given up because a stage hangs."""


class FrameWorker:
    """Processes images from a queue, on one thread, until the queue is closed.

    A worker that hangs can be abandoned: its frame is counted, whatever its thread does later has
    no effect, and its `successor` goes on.

    Attributes:
        cameras: process the frames of each camera, in the order of the queue.
        fatal_error: why no further frame can be processed, empty while they can.
    """

    def __init__(
        self,
        queue: FrameQueue,
        cameras: Sequence[CameraProcessor],
        *,
        limits: StageLimits | None = None,
        show_stages: Callable[[Collection[str]], None] | None = None,
    ) -> None:
        """Create the thread; `start` starts it.

        Args:
            queue: where images arrive.
            cameras: process the frames of each camera, in the order of the queue; their pipelines
                share one set of networks.
            limits: times of earlier frames; None without any.
            show_stages: called with the stages that run, see `Stopwatch`.
        """
        self.cameras = tuple(cameras)
        self.fatal_error = ''
        self._queue = queue
        self._limits = limits or StageLimits()
        self._show_stages = show_stages
        self._lock = threading.Lock()
        self._frame: Stopwatch | None = None
        self._camera = self.cameras[0]
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name='perception', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait until the current frame is done; return whether it is. Close the queue first."""
        # A signal may have arrived before the thread was started.
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def late_stage(self, stopped_s: float = 0.0) -> LateStage | None:
        """Return the stage of the current frame that takes too long, None if there is none.

        Args:
            stopped_s: seconds since the last call in which the whole process was stopped.
        """
        frame = self._frame
        if frame is None:
            return None
        frame.exclude(stopped_s)
        return self._limits.find_late(frame.running(), compiling=is_compiling())

    def abandon(self) -> bool:
        """Count the current frame as lost and ignore this thread from now on.

        Returns:
            False, without any effect, if no frame is being processed, or at the second call.
        """
        with self._lock:
            if self._abandoned or (self._frame is None and self.is_alive):
                return False
            self._abandoned = True
            if self._frame is not None:
                self._frame.cancel()
                self._camera.slot.drop(HANG)
            return True

    def successor(self) -> FrameWorker:
        """Return a worker that goes on with the next frame; it loads the network that hangs."""
        frame = self._frame
        first, *others = (camera.processor.pipeline for camera in self.cameras)
        resumed = first.resumed(() if frame is None else frame.running())
        pipelines = (resumed, *(resumed.sibling(other.state_dict()) for other in others))
        return FrameWorker(
            self._queue,
            [one.resumed(new) for one, new in zip(self.cameras, pipelines, strict=True)],
            limits=self._limits,
            show_stages=self._show_stages,
        )

    def time_jumped(self) -> None:
        """Request that the state of earlier frames is dropped before the next frame."""
        for camera in self.cameras:
            camera.time_jumped()

    def _run(self) -> None:
        while not self._abandoned and (taken := self._queue.take()) is not None:
            index, frame_set = taken
            watch, camera = Stopwatch(self._show_stages), self.cameras[index]
            with self._lock:
                self._frame, self._camera = watch, camera
            try:
                with watch.stage('frame'):
                    camera.process(frame_set, watch, self._end)
                self._limits.add(watch.seconds)
            # Libraries in Rust raise a BaseException, and one bad frame must not end the thread.
            except BaseException as error:  # noqa: BLE001
                self._lose(camera, error)

    def _lose(self, camera: CameraProcessor, error: BaseException) -> None:
        """Count a frame whose processing failed."""
        if isinstance(error, PerceptionError):
            if self._abandoned:
                return
            if error.reason == DEVICE_LOST:
                self.fatal_error = str(error)
        camera.lose(error, self._end)

    def _end(self, count: Callable[..., None], *reason: str) -> None:
        """Count the current frame, unless it has been counted as abandoned."""
        with self._lock:
            if not self._abandoned:
                self._frame = None
                count(*reason)
