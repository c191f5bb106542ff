"""Videos and webcams as sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import time

import cv2

from robot_perception.core import CameraModel, NANOSECONDS_PER_SECOND, SourceError, UInt8Array
from robot_perception.sources.edit_list import shown_part
from robot_perception.sources.messages import camera_info, color_image
from robot_perception.sources.sample import Role, Sample, Source

VIDEO_SUFFIXES = (
    *('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv'),
    *('.ts', '.mts', '.m2ts', '.ogv', '.3gp'),
)
_MILLISECOND_NS = 1_000_000
_USUAL_FPS = 30.0
# The count in a container's header is an estimate; a real cut takes away more than this.
_COUNT_SLACK = 0.05


class VideoSource(Source):
    """A video file. Its calibration is a nominal pinhole: a field of view and nothing more."""

    def __init__(
        self, path: Path, *, hfov_deg: float, frame_id: str, start_ns: int, fps: float | None
    ) -> None:
        """Open a video; arguments as in `open_source`.

        Raises:
            SourceError: the file holds no video that can be decoded.
        """
        self._path = path
        self._start_ns = start_ns
        self._fps = fps
        self._frame_id = frame_id
        capture = cv2.VideoCapture(str(path))
        readable, bgr = capture.read()
        recorded_fps = capture.get(cv2.CAP_PROP_FPS) or _USUAL_FPS
        self._frames = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()
        # The container counts frames that an edit list leaves out.
        self._frames = round(self._frames * shown_part(path))
        if not readable:
            raise SourceError(
                'damaged',
                f'{path}: expected a video that can be decoded, got none. '
                'The file is damaged or of an unknown codec; convert it to mp4 with H.264.',
            )
        size_hw = bgr.shape[:2]
        self._camera = CameraModel.nominal(size_hw, hfov_deg)
        played_fps = fps or recorded_fps
        self._period_ns = round(NANOSECONDS_PER_SECOND / played_fps)
        self.roles = frozenset((Role.CAMERA_INFO, Role.IMAGE))
        if self._frames:
            self.sample_count = 2 * self._frames
            self.duration_ns = self._frames * self._period_ns
        self.description = (
            f'video {path.name}: {size_hw[1]}x{size_hw[0]}, {played_fps:.4g} pictures per second, '
            f'nominal camera of {hfov_deg:g} degrees'
        )

    def __iter__(self) -> Iterator[Sample]:
        """Yield calibration and image of each frame."""
        capture = cv2.VideoCapture(str(self._path))
        count = 0
        media_ns = -self._period_ns
        try:
            while (picture := capture.read())[0]:
                media_ns = self._media_time_ns(capture, count, media_ns)
                stamp_ns = self._start_ns + media_ns
                yield from _frame(picture[1], self._camera, stamp_ns, self._frame_id)
                count += 1
        finally:
            capture.release()
        if count == 0 or count < self._frames * (1 - _COUNT_SLACK):
            raise SourceError(
                'damaged',
                f'{self._path}: expected {self._frames} pictures, got {count}. '
                'The file is cut or damaged; what could be decoded is used.',
            )

    def close(self) -> None:
        """Nothing stays open between passes."""

    def _media_time_ns(self, capture: cv2.VideoCapture, index: int, previous_ns: int) -> int:
        if self._fps is not None:
            return round(index * NANOSECONDS_PER_SECOND / self._fps)
        recorded_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * _MILLISECOND_NS)
        # Streams without a container have no times.
        return recorded_ns if recorded_ns > previous_ns else previous_ns + self._period_ns


class WebcamSource(Source):
    """A camera of this machine, at its own rate, with a nominal pinhole."""

    live = True

    def __init__(self, index: int, *, hfov_deg: float, frame_id: str) -> None:
        """Open camera ``/dev/videoINDEX``; other arguments as in `open_source`.

        Raises:
            SourceError: there is no such camera, or it gives no picture.
        """
        self._index = index
        self._frame_id = frame_id
        self._capture = cv2.VideoCapture(index)
        readable, bgr = self._capture.read()
        if not readable:
            self._capture.release()
            raise SourceError(
                'no_camera',
                f'webcam {index}: expected a camera that gives pictures, got none. '
                'Check that it is plugged in, that no other program holds it and that you may '
                'read /dev/video*; the first camera is 0.',
            )
        size_hw = bgr.shape[:2]
        self._camera = CameraModel.nominal(size_hw, hfov_deg)
        self.roles = frozenset((Role.CAMERA_INFO, Role.IMAGE))
        self.description = (
            f'webcam {index}: {size_hw[1]}x{size_hw[0]}, nominal camera of {hfov_deg:g} degrees'
        )

    def __iter__(self) -> Iterator[Sample]:
        """Yield calibration and image of each frame, stamped now; ends only by an error."""
        while True:
            readable, bgr = self._capture.read()
            if not readable:
                raise SourceError(
                    'no_camera',
                    f'webcam {self._index}: expected a picture, got none. '
                    'The camera was unplugged or taken by another program.',
                )
            yield from _frame(bgr, self._camera, time.time_ns(), self._frame_id)

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


def _frame(bgr: UInt8Array, camera: CameraModel, stamp_ns: int, frame_id: str) -> Iterator[Sample]:
    # The calibration goes first, so that it is there when the picture arrives.
    yield Sample(Role.CAMERA_INFO, stamp_ns, camera_info(camera, stamp_ns, frame_id))
    yield Sample(Role.IMAGE, stamp_ns, color_image(bgr, stamp_ns, frame_id))
