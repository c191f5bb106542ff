"""Pictures on disk as sources: one, a folder of them, or color and depth in pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re

import cv2
import numpy as np

from robot_perception.core import (
    CalibrationError,
    CameraModel,
    NANOSECONDS_PER_SECOND,
    SourceError,
    UInt16Array,
)
from robot_perception.image_files import read_image_file
from robot_perception.sources.messages import camera_info, color_image, depth_image
from robot_perception.sources.sample import Role, Sample, Source

PICTURE_SUFFIXES = (
    *('.jpg', '.jpeg', '.png', '.bmp', '.webp'),
    *('.tif', '.tiff', '.ppm', '.pgm'),
)
INTRINSICS_NAME = 'camera-intrinsics.txt'
_PICTURES_PER_SECOND = 30.0
_COLOR_MARK, _DEPTH_MARK = '.color', '.depth'
# The 7-Scenes recordings write it where there is no depth; it is also where 16 bits end.
_NO_DEPTH = np.iinfo(np.uint16).max
_NAMED_AT_MOST = 5


class PictureSource(Source):
    """Pictures in order of their names, at a given rate.

    In a folder with ``NAME.color.jpg`` and ``NAME.depth.png`` (16-bit millimeters, registered to
    the colors) the depth goes with its picture, and ``camera-intrinsics.txt`` (3x3 matrix,
    pixels) is the calibration. Everything else has a nominal pinhole: a field of view and
    nothing more. Pictures that cannot be read are left out and named at the end.
    """

    def __init__(
        self, path: Path, *, hfov_deg: float, frame_id: str, start_ns: int, fps: float | None
    ) -> None:
        """Find one picture, or those of a folder; arguments as in `open_source`.

        Raises:
            SourceError: no pictures there, or a bad intrinsics file.
        """
        self._hfov_deg = hfov_deg
        self._frame_id = frame_id
        self._start_ns = start_ns
        self._fps = fps or _PICTURES_PER_SECOND
        self._pictures = [path] if path.is_file() else _pictures(path)
        if not self._pictures:
            raise SourceError(
                'no_images',
                f'{path}: expected pictures in the folder, got none. '
                f'Pass a folder with {", ".join(PICTURE_SUFFIXES)}.',
            )
        self._depths = {one: depth for one in self._pictures if (depth := _find_depth(one))}
        self._matrix = _read_intrinsics(path / INTRINSICS_NAME) if self._depths else None
        count = len(self._pictures)
        self.roles = frozenset((Role.CAMERA_INFO, Role.IMAGE))
        if self._depths:
            self.roles |= {Role.DEPTH}
        self.sample_count = 2 * count + len(self._depths)
        self.duration_ns = round(count * NANOSECONDS_PER_SECOND / self._fps)
        self.description = (
            f'{path.name}: {count} picture{"s" if count > 1 else ""}, {len(self._depths)} with '
            f'depth, {self._fps:g} per second, '
            + (f'nominal camera of {hfov_deg:g} degrees' if self._matrix is None else 'calibrated')
        )

    def __iter__(self) -> Iterator[Sample]:
        """Yield calibration, depth and image of each frame."""
        lost = []
        for index, path in enumerate(self._pictures):
            stamp_ns = self._start_ns + round(index * NANOSECONDS_PER_SECOND / self._fps)
            try:
                samples = list(self._frame(path, stamp_ns))
            except SourceError as error:
                lost.append(str(error))
                continue
            yield from samples
        if lost:
            named = ' '.join(lost[:_NAMED_AT_MOST])
            raise SourceError(
                'damaged',
                f'{self._pictures[0].parent}: expected {len(self._pictures)} readable pictures, '
                f'got {len(self._pictures) - len(lost)}. {named}'
                f'{" ..." if len(lost) > _NAMED_AT_MOST else ""}',
            )

    def close(self) -> None:
        """Nothing stays open."""

    def _frame(self, path: Path, stamp_ns: int) -> Iterator[Sample]:
        # A registered pair must not be turned by the orientation that the camera recorded.
        paired = path in self._depths
        orientation = cv2.IMREAD_IGNORE_ORIENTATION if paired else 0
        bgr = read_image_file(path, cv2.IMREAD_COLOR | orientation)
        camera = self._camera((bgr.shape[0], bgr.shape[1]))
        # The calibration and the depth go first, so that they are there when the picture arrives.
        yield Sample(Role.CAMERA_INFO, stamp_ns, camera_info(camera, stamp_ns, self._frame_id))
        if paired:
            depth = _read_depth(self._depths[path], camera.size_hw)
            yield Sample(Role.DEPTH, stamp_ns, depth_image(depth, stamp_ns, self._frame_id))
        yield Sample(Role.IMAGE, stamp_ns, color_image(bgr, stamp_ns, self._frame_id))

    def _camera(self, size_hw: tuple[int, int]) -> CameraModel:
        if self._matrix is None:
            return CameraModel.nominal(size_hw, self._hfov_deg)
        fx, fy, cx, cy = self._matrix
        return CameraModel(size_hw, fx, fy, cx, cy)


def is_picture(path: Path) -> bool:
    """Whether the name is one of a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def _pictures(folder: Path) -> list[Path]:
    """Pictures of a folder by name, 2 before 10; of pairs only the colors."""
    files = sorted((one for one in folder.iterdir() if is_picture(one)), key=_natural)
    colors = [one for one in files if Path(one.stem).suffix == _COLOR_MARK]
    return colors or files


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.findall(r'\d+|\D+', path.name)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]


def _find_depth(path: Path) -> Path | None:
    """Return the depth that belongs to a picture, None without one."""
    name = Path(path.stem)
    if name.suffix != _COLOR_MARK:
        return None
    depth = path.with_name(f'{name.stem}{_DEPTH_MARK}.png')
    return depth if depth.exists() else None


def _read_intrinsics(path: Path) -> tuple[float, float, float, float] | None:
    """Focal lengths and principal point; None without a file."""
    if not path.exists():
        return None
    try:
        (fx, _, cx), (_, fy, cy), _ = np.loadtxt(path).reshape(3, 3).tolist()
        CameraModel((1, 1), fx, fy, cx, cy)
    except (OSError, ValueError, CalibrationError) as error:
        raise SourceError(
            'bad_calibration',
            f'{path}: expected three rows of three numbers, fx 0 cx, 0 fy cy, 0 0 1, '
            f'got something else ({error}). Write the camera matrix there, or take the file away.',
        ) from error
    return fx, fy, cx, cy


def _read_depth(path: Path, size_hw: tuple[int, int]) -> UInt16Array:
    depth = read_image_file(path, cv2.IMREAD_UNCHANGED)
    if depth.dtype != np.uint16 or depth.shape != size_hw:
        raise SourceError(
            'wrong_shape',
            f'{path}: expected 16-bit depth of {size_hw}, got {depth.shape} {depth.dtype}. '
            'Register the depth to the colors, in millimeters.',
        )
    millimeters: UInt16Array = np.where(depth == _NO_DEPTH, np.uint16(0), depth)
    return millimeters
