"""Process the newest images of all cameras on a thread, one after another or together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
import threading
from typing import TypeVar

from robot_perception.core import PerceptionError
from robot_perception.nodes.camera_processor import BegunFrame, CameraProcessor
from robot_perception.nodes.slot import FrameQueue
from robot_perception.nodes.stage_limits import LateStage, StageLimits
from robot_perception.pipeline import batches_cameras, DEVICE_LOST, long_work, Stopwatch
from robot_perception.stream import FrameSet

_Result = TypeVar('_Result')
HANG = 'hang'
"""Reason of a frame that was given up because a stage hangs."""


class FrameWorker:
    """Processes images from a queue, on one thread, until the queue is closed.

    Where networks compute images together in less time, it takes the newest images of all cameras
    at once; each is still processed and published by itself. A worker that hangs can be
    abandoned: its frames are counted, whatever its thread does later has no effect, and its
    `successor` goes on.

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
        self._batches = len(self.cameras) > 1 and batches_cameras(
            self.cameras[0].processor.pipeline.config
        )
        # Cameras whose frames are not ended, and the frame at work with its camera.
        self._open: list[CameraProcessor] = []
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
        return self._limits.find_late(frame.running(), why=long_work())

    def abandon(self) -> bool:
        """Count the frames at work as lost and ignore this thread from now on.

        Returns:
            False, without any effect, if no frame is being processed, or at the second call.
        """
        with self._lock:
            if self._abandoned or (not self._open and self.is_alive):
                return False
            self._abandoned = True
            if self._frame is not None:
                self._frame.cancel()
            for camera in self._open:
                camera.slot.drop(HANG)
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
        while not self._abandoned and (taken := self._take()):
            with self._lock:
                self._open = [self.cameras[index] for index, _ in taken]
            begun: list[tuple[CameraProcessor, BegunFrame]] = []
            for index, frame_set in taken:
                camera, watch = self.cameras[index], Stopwatch(self._show_stages)
                frame = self._work(
                    camera, watch, partial(camera.begin, frame_set, watch, self._end)
                )
                if frame is not None:
                    begun.append((camera, frame))
            if len(begun) > 1:
                camera, frame = begun[0]
                self._work(camera, frame.watch, partial(_compute_together, begun))
            for camera, frame in begun:
                self._work(camera, frame.watch, partial(camera.process, frame, self._end))
                # Those of a frame that was lost would keep their results.
                camera.processor.pipeline.discard_batches()

    def _take(self) -> list[tuple[int, FrameSet]]:
        """Wait for frames; return none once the queue is closed."""
        # What is computed together may be dropped after that.
        if self._batches and not self.cameras[0].drops_frames:
            return self._queue.take_all()
        taken = self._queue.take()
        return [] if taken is None else [taken]

    def _work(
        self, camera: CameraProcessor, watch: Stopwatch, work: Callable[[], _Result]
    ) -> _Result | None:
        """Work on a frame that is not ended; the frame alone is lost to an error."""
        with self._lock:
            if self._abandoned or camera not in self._open:
                return None
            self._frame, self._camera = watch, camera
        try:
            with watch.stage('frame'):
                result = work()
            if camera not in self._open:
                self._limits.add(watch.seconds)
        # Libraries in Rust raise a BaseException, and one bad frame must not end the thread.
        except BaseException as error:  # noqa: BLE001
            self._lose(camera, error)
            return None
        return result

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
            if not self._abandoned and self._camera in self._open:
                self._frame = None
                self._open.remove(self._camera)
                count(*reason)


def _compute_together(begun: Sequence[tuple[CameraProcessor, BegunFrame]]) -> None:
    """Let networks compute the images together, when the first of them is processed."""
    cameras = [(camera.processor.pipeline, camera.due(frame)) for camera, frame in begun]
    (first, _), (_, frame) = cameras[0], begun[0]
    first.compute_together([one.read.image for _, one in begun], cameras, frame.config)
