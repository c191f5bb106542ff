"""Process the newest images of all cameras on a thread, one after another or together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
import threading
import time
from typing import TypeVar

from robot_perception.core import PerceptionError
from robot_perception.nodes.camera_processor import BegunFrame, CameraProcessor
from robot_perception.nodes.output_thread import OutputThread
from robot_perception.nodes.shown_stages import ShownStages
from robot_perception.nodes.slot import FrameQueue
from robot_perception.nodes.stage_limits import LateStage, StageLimits
from robot_perception.pipeline import (
    batches_cameras,
    DEVICE_LOST,
    long_work,
    overlaps_outputs,
    Stopwatch,
)
from robot_perception.stream import FrameSet

_Result = TypeVar('_Result')
HANG = 'hang'
"""Reason of a frame that was given up because a stage hangs."""


@dataclass(eq=False, slots=True)
class _OpenFrame:
    """A frame that is not ended.

    Attributes:
        camera: processes it.
        watch: times its stages.
        begun: what is known of it once it has begun; for the thread of the worker.
    """

    camera: CameraProcessor
    watch: Stopwatch
    begun: BegunFrame | None = None


class FrameWorker:
    """Processes images from a queue, on one thread, until the queue is closed.

    Where networks compute images together in less time, it takes the newest images of all cameras
    at once; each is still processed and published by itself. Where the networks run on a GPU, the
    outputs of a frame are made on a second thread, while the next frame is computed. A worker
    that hangs can be abandoned: its frames are counted, whatever its threads do later has no
    effect, and its `successor` goes on.

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
        stages: ShownStages | None = None,
    ) -> None:
        """Create the threads; `start` starts them.

        Args:
            queue: where images arrive.
            cameras: process the frames of each camera, in the order of the queue; their pipelines
                share one set of networks.
            limits: times of earlier frames; None without any.
            stages: shows the stages that run; also those of an abandoned worker.
        """
        self.cameras = tuple(cameras)
        self.fatal_error = ''
        self._queue = queue
        self._limits = limits or StageLimits()
        self._stages = stages
        self._lock = threading.Lock()
        config = self.cameras[0].processor.pipeline.config
        self._batches = len(self.cameras) > 1 and batches_cameras(config)
        self._outputs = OutputThread() if overlaps_outputs(config) else None
        self._open: list[_OpenFrame] = []
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name='perception', daemon=True)

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether a thread of it runs."""
        return self._thread.is_alive() or (self._outputs is not None and self._outputs.is_alive)

    @property
    def has_ended(self) -> bool:
        """Whether a thread of it has ended, so that frames do not go on."""
        ended = self._outputs is not None and self._outputs.has_ended
        return ended or not self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait until the frames at work are done; return whether they are. Close the queue."""
        end_s = time.monotonic() + timeout_s
        # A signal may have arrived before the thread was started.
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._outputs is not None:
            self._outputs.join(max(end_s - time.monotonic(), 0.0))
        return not self.is_alive

    def late_stage(self, stopped_s: float = 0.0) -> LateStage | None:
        """Return the stage of the frames at work that takes too long, None if there is none.

        Args:
            stopped_s: seconds since the last call in which the whole process was stopped.
        """
        return self._limits.find_late(self._running(stopped_s), why=long_work())

    def abandon(self) -> bool:
        """Count the frames at work as lost and ignore the threads from now on.

        Returns:
            False, without any effect, if no frame is being processed, or at the second call.
        """
        with self._lock:
            if self._abandoned or (not self._open and not self.has_ended):
                return False
            self._abandoned = True
            for frame in self._open:
                frame.watch.cancel()
                frame.camera.slot.drop(HANG)
        # The thread that does not hang ends.
        if self._outputs is not None:
            self._outputs.close()
        self._queue.wake()
        return True

    def successor(self) -> FrameWorker:
        """Return a worker that goes on with the next frame; it loads the network that hangs."""
        first, *others = (camera.processor.pipeline for camera in self.cameras)
        resumed = first.resumed(self._running())
        pipelines = (resumed, *(resumed.sibling(other.state_dict()) for other in others))
        return FrameWorker(
            self._queue,
            [one.resumed(new) for one, new in zip(self.cameras, pipelines, strict=True)],
            limits=self._limits,
            stages=self._stages,
        )

    def time_jumped(self) -> None:
        """Request that the state of earlier frames is dropped before the next frame."""
        for camera in self.cameras:
            camera.time_jumped()

    def _running(self, stopped_s: float = 0.0) -> dict[str, float]:
        """Return the stages that run, of all frames at work -> seconds since they began."""
        with self._lock:
            watches = [frame.watch for frame in self._open]
        running: dict[str, float] = {}
        for watch in watches:
            watch.exclude(stopped_s)
            for stage, seconds in watch.running().items():
                running[stage] = max(seconds, running.get(stage, 0.0))
        return running

    def _run(self) -> None:
        if self._outputs is not None:
            self._outputs.start()
        try:
            while taken := self._take():
                self._process(taken)
        finally:
            if self._outputs is not None:
                self._outputs.close()

    def _take(self) -> list[tuple[int, FrameSet]]:
        """Wait for frames; return none once the queue is closed or this worker abandoned."""
        # What is computed together may be dropped after that.
        if self._batches and not self.cameras[0].drops_frames:
            return self._queue.take_all(self._is_abandoned)
        taken = self._queue.take(self._is_abandoned)
        return [] if taken is None else [taken]

    def _is_abandoned(self) -> bool:
        return self._abandoned

    def _process(self, taken: Sequence[tuple[int, FrameSet]]) -> None:
        """Process frames that were taken at once."""
        stages = self._stages
        frames = [
            _OpenFrame(
                self.cameras[index], Stopwatch(None if stages is None else stages.of_frame())
            )
            for index, _ in taken
        ]
        with self._lock:
            if self._abandoned:
                # Since they were taken.
                for frame in frames:
                    frame.camera.slot.drop(HANG)
                return
            self._open += frames
        for frame, (_, frame_set) in zip(frames, taken, strict=True):
            frame.begun = self._work(frame, partial(self._begin, frame, frame_set))
        begun = [(frame, frame.begun) for frame in frames if frame.begun is not None]
        if len(begun) > 1:
            together = [(frame.camera, one) for frame, one in begun]
            self._work(begun[0][0], partial(_compute_together, together))
        for frame, one in begun:
            end = partial(self._end, frame)
            output = self._work(frame, partial(frame.camera.process, one, end))
            # Those of a frame that was lost would keep their results.
            frame.camera.processor.pipeline.discard_batches()
            if output is not None:
                self._publish(frame, partial(frame.camera.publish, one, output, end))

    def _begin(self, frame: _OpenFrame, frame_set: FrameSet) -> BegunFrame | None:
        with self._lock:
            promised = [
                request
                for other in self._open
                if other.camera is frame.camera and other.begun is not None
                for request in other.begun.demand.requests
            ]
        return frame.camera.begin(frame_set, frame.watch, partial(self._end, frame), promised)

    def _publish(self, frame: _OpenFrame, publish: Callable[[], None]) -> None:
        """Publish the outputs of a frame, on a thread of their own if there is one."""
        if self._outputs is None:
            self._work(frame, publish)
        else:
            # Waiting for the frame before is no stage of this one.
            self._outputs.hand_over(partial(self._work, frame, publish))

    def _work(self, frame: _OpenFrame, work: Callable[[], _Result]) -> _Result | None:
        """Work on a frame that is not ended; the frame alone is lost to an error."""
        if not self._is_open(frame):
            return None
        try:
            with frame.watch.stage('frame'):
                result = work()
            if not self._is_open(frame):
                self._limits.add(frame.watch.seconds)
        # Libraries in Rust raise a BaseException, and one bad frame must not end the thread.
        except BaseException as error:  # noqa: BLE001
            self._lose(frame, error)
            return None
        return result

    def _is_open(self, frame: _OpenFrame) -> bool:
        with self._lock:
            return not self._abandoned and frame in self._open

    def _lose(self, frame: _OpenFrame, error: BaseException) -> None:
        """Count a frame whose processing failed."""
        if isinstance(error, PerceptionError):
            if self._abandoned:
                return
            if error.reason == DEVICE_LOST:
                self.fatal_error = str(error)
        frame.camera.lose(error, partial(self._end, frame))

    def _end(self, frame: _OpenFrame, count: Callable[..., None], *reason: str) -> None:
        """Count a frame, unless it has been counted as abandoned."""
        with self._lock:
            if not self._abandoned and frame in self._open:
                self._open.remove(frame)
                count(*reason)


def _compute_together(begun: Sequence[tuple[CameraProcessor, BegunFrame]]) -> None:
    """Let networks compute the images together, when the first of them is processed."""
    cameras = [(camera.processor.pipeline, camera.due(frame)) for camera, frame in begun]
    (first, _), (_, frame) = cameras[0], begun[0]
    first.compute_together([one.read.image for _, one in begun], cameras, frame.config)
