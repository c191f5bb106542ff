"""Opens any recording by what its path holds."""

from __future__ import annotations

import math
from pathlib import Path
import re
import time

from robot_perception.core import CalibrationError, CameraModel, SourceError
from robot_perception.sources.bag_file import is_bag
from robot_perception.sources.bag_source import BagSource
from robot_perception.sources.bag_topics import TopicWish
from robot_perception.sources.picture_folder import is_picture, PICTURE_SUFFIXES
from robot_perception.sources.pictures import NOMINAL_HFOV_DEG, PictureSource
from robot_perception.sources.sample import Source
from robot_perception.sources.storage_files import BAG_SUFFIXES
from robot_perception.sources.video import VIDEO_SUFFIXES, VideoSource, WebcamSource

OPTICAL_FRAME = 'camera_optical_frame'

_WEBCAM = re.compile(r'(?:/dev/video)?(\d+)')


def open_source(
    spec: str,
    *,
    hfov_deg: float | None = None,
    fps: float | None = None,
    frame_id: str = OPTICAL_FRAME,
    start_ns: int | None = None,
    topics: TopicWish | None = None,
) -> Source:
    """Open a rosbag2, a video, a picture, a folder of pictures or a webcam.

    Args:
        spec: path of the recording; a bare number is the index of a webcam (``./0`` is a file).
        hfov_deg: horizontal field of view in degrees that is assumed where no calibration is
            recorded; everything 3D made with it is nominal too. None takes that of the EXIF data
            of a picture, and 60 without.
        fps: pictures per second of pictures and videos; None takes the video's own times and 30
            for pictures. Bags and webcams keep their own.
        frame_id: coordinate frame of pictures, videos and webcams; a bag keeps its own.
        start_ns: stamp of the first picture of pictures and videos, nanoseconds; None is now.
        topics: topics of a bag with several cameras.

    Raises:
        SourceError: nothing there, not a recording, or a bad argument.
    """
    nominal_deg = NOMINAL_HFOV_DEG if hfov_deg is None else hfov_deg
    _check(nominal_deg, fps)
    begin_ns = time.time_ns() if start_ns is None else start_ns
    if (webcam := _WEBCAM.fullmatch(spec)) is not None:
        return WebcamSource(int(webcam[1]), hfov_deg=nominal_deg, frame_id=frame_id)
    if not spec:
        raise SourceError(
            'missing_file',
            'source: expected a path or the index of a webcam, got nothing. Name one.',
        )
    path = Path(spec).expanduser()
    if not path.exists():
        raise SourceError(
            'missing_file',
            f'{spec}: expected a bag, video, picture, folder of pictures or webcam index, got a '
            'path that does not exist. Check the spelling.',
        )
    if not (path.is_file() or path.is_dir()):
        raise SourceError(
            'unknown_format',
            f'{path}: expected a file or a folder, got a device or a pipe. Copy its content to a '
            'file; a webcam is named by its index.',
        )
    if is_bag(path):
        return BagSource(path, topics)
    if path.is_dir() or is_picture(path):
        return PictureSource(
            path, hfov_deg=hfov_deg, frame_id=frame_id, start_ns=begin_ns, fps=fps
        )
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoSource(
            path, hfov_deg=nominal_deg, frame_id=frame_id, start_ns=begin_ns, fps=fps
        )
    raise _unknown(path)


def is_webcam(spec: str) -> bool:
    """Return whether `open_source` opens a camera of this machine: an index or /dev/videoINDEX."""
    return _WEBCAM.fullmatch(spec) is not None


def _check(hfov_deg: float, fps: float | None) -> None:
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise SourceError(
            'out_of_range',
            f'fps: expected a number above 0, got {fps}. Leave it out for the recorded rate.',
        )
    try:
        CameraModel.nominal((1, 1), hfov_deg)
    except CalibrationError as error:
        raise SourceError(
            error.reason, f'{error} Pass the field of view of your camera.'
        ) from error


def _unknown(path: Path) -> SourceError:
    if path.suffix == '.bag':
        return SourceError(
            'ros1_bag',
            f'{path}: expected a rosbag2, got a ROS 1 bag. '
            f'Convert it with `rosbags-convert --src {path} --dst {path.with_suffix("")}`.',
        )
    return SourceError(
        'unknown_format',
        f'{path}: expected a bag, a video or a picture, got a file named {path.suffix!r}. '
        f'Pass one of: {", ".join((*BAG_SUFFIXES, *VIDEO_SUFFIXES, *PICTURE_SUFFIXES))}.',
    )
