"""Pictures on disk as sources: one, a folder of them, or color and depth in pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from robot_perception.core import (
    CameraModel,
    NANOSECONDS_PER_SECOND,
    SourceError,
    UInt8Array,
    UInt16Array,
)
from robot_perception.image_files import read_image_exif, read_image_file
from robot_perception.sources.messages import camera_info, color_image, depth_image
from robot_perception.sources.picture_folder import find_pictures, Picture, Pinhole
from robot_perception.sources.sample import Role, Sample, Source

NOMINAL_HFOV_DEG = 60.0
_PICTURES_PER_SECOND = 30.0
# The 7-Scenes recordings write it where there is no depth; it is also where 16 bits end.
_NO_DEPTH = np.iinfo(np.uint16).max
_NAMED_AT_MOST = 5


class PictureSource(Source):
    """Pictures in order of their names, at a given rate.

    Depth of the same name (16 bits, registered to the colors) goes with its picture; see
    `find_pictures` for the folders that are known, and their calibrations. Other pictures have
    the field of view of their EXIF data, or a nominal one. Pictures that cannot be read are left
    out and named at the end.
    """

    def __init__(
        self,
        path: Path,
        *,
        hfov_deg: float | None,
        frame_id: str,
        start_ns: int,
        fps: float | None,
    ) -> None:
        """Find one picture, or those of a folder; arguments as in `open_source`.

        Raises:
            SourceError: no pictures there, or a bad calibration file.
        """
        self._hfov_deg = hfov_deg
        self._frame_id = frame_id
        self._folder = find_pictures(path)
        pictures = self._folder.pictures
        self._path = path
        rate = fps or _PICTURES_PER_SECOND
        self._stamps_ns = [
            start_ns + round(index * NANOSECONDS_PER_SECOND / rate)
            if fps is not None or one.stamp_ns is None
            else one.stamp_ns
            for index, one in enumerate(pictures)
        ]
        self.names = {
            stamp_ns: one.color.name
            for stamp_ns, one in zip(self._stamps_ns, pictures, strict=True)
        }
        count, depths = len(pictures), sum(one.depth is not None for one in pictures)
        self.roles = frozenset((Role.CAMERA_INFO, Role.IMAGE))
        if depths:
            self.roles |= {Role.DEPTH}
        self.notes = self._folder.notes
        self.sample_count = 2 * count + depths
        period_ns = round(NANOSECONDS_PER_SECOND / rate)
        self.duration_ns = self._stamps_ns[-1] - self._stamps_ns[0] + period_ns
        nominal_deg = NOMINAL_HFOV_DEG if hfov_deg is None else hfov_deg
        is_calibrated = self._folder.color_camera is not None
        self.description = (
            f'{path.name}: {count} picture{"s" if count > 1 else ""}, {depths} with '
            f'depth, {rate:g} per second, '
            + ('calibrated' if is_calibrated else f'nominal camera of {nominal_deg:g} degrees')
        )

    def __iter__(self) -> Iterator[Sample]:
        """Yield calibration, depth and image of each frame."""
        lost = []
        pictures = self._folder.pictures
        for picture, stamp_ns in zip(pictures, self._stamps_ns, strict=True):
            try:
                samples = list(self._frame(picture, stamp_ns))
            except SourceError as error:
                lost.append(str(error))
                continue
            yield from samples
        if lost:
            named = ' '.join(lost[:_NAMED_AT_MOST])
            raise SourceError(
                'damaged',
                f'{self._path}: expected {len(pictures)} readable pictures, '
                f'got {len(pictures) - len(lost)}. {named}'
                f'{" ..." if len(lost) > _NAMED_AT_MOST else ""}',
            )

    def close(self) -> None:
        """Nothing stays open."""

    def _frame(self, picture: Picture, stamp_ns: int) -> Iterator[Sample]:
        # A registered pair must not be turned by the orientation that the camera recorded.
        orientation = 0 if picture.depth is None else cv2.IMREAD_IGNORE_ORIENTATION
        bgr = read_image_file(picture.color, cv2.IMREAD_COLOR | orientation)
        camera = self._camera(picture, bgr)
        # The calibration and the depth go first, so that they are there when the picture arrives.
        yield Sample(Role.CAMERA_INFO, stamp_ns, camera_info(camera, stamp_ns, self._frame_id))
        if picture.depth is not None:
            depth = _read_depth(picture.depth, camera, self._folder.depth_camera)
            yield Sample(Role.DEPTH, stamp_ns, depth_image(depth, stamp_ns, self._frame_id))
        yield Sample(Role.IMAGE, stamp_ns, color_image(bgr, stamp_ns, self._frame_id))

    def _camera(self, picture: Picture, bgr: UInt8Array) -> CameraModel:
        size_hw = bgr.shape[0], bgr.shape[1]
        if self._folder.color_camera is not None:
            return CameraModel(size_hw, *self._folder.color_camera)
        hfov_deg = self._hfov_deg or picture_hfov_deg(picture.color, size_hw)
        return CameraModel.nominal(size_hw, hfov_deg)


def picture_hfov_deg(path: Path, size_hw: tuple[int, int]) -> float:
    """Return the horizontal field of view of a picture, degrees: by its EXIF data, or 60.

    Raises:
        SourceError: the file cannot be read.
    """
    return read_image_exif(path).hfov_deg(size_hw) or NOMINAL_HFOV_DEG


def _read_depth(path: Path, camera: CameraModel, depth_camera: Pinhole | None) -> UInt16Array:
    """Read the depth of each pixel of a picture, in units of the file; 0 is unknown."""
    depth = read_image_file(path, cv2.IMREAD_UNCHANGED)
    is_depth = depth.dtype == np.uint16 and depth.ndim == 2  # noqa: PLR2004 - rows and columns
    if is_depth and depth.shape != camera.size_hw and depth_camera is not None:
        depth = _resampled(depth, camera, depth_camera)
    if not is_depth or depth.shape != camera.size_hw:
        raise SourceError(
            'wrong_shape',
            f'{path}: expected 16-bit depth of {camera.size_hw}, got {depth.shape} {depth.dtype}. '
            'Register the depth to the colors, in millimeters.',
        )
    known: UInt16Array = np.where(depth == _NO_DEPTH, np.uint16(0), depth)
    return known


def _resampled(depth: UInt16Array, camera: CameraModel, depth_camera: Pinhole) -> UInt16Array:
    """Return depth of another size as the camera of the colors has it, at the same place."""
    fx, fy, cx, cy = depth_camera
    height, width = camera.size_hw
    columns = np.rint((np.arange(width) - camera.cx) * fx / camera.fx + cx).astype(int)
    rows = np.rint((np.arange(height) - camera.cy) * fy / camera.fy + cy).astype(int)
    inside = (rows >= 0) & (rows < depth.shape[0])
    beside = (columns >= 0) & (columns < depth.shape[1])
    taken = depth[np.clip(rows, 0, depth.shape[0] - 1)][:, np.clip(columns, 0, depth.shape[1] - 1)]
    found: UInt16Array = np.where(inside[:, None] & beside, taken, np.uint16(0))
    return found
