"""Which pictures of a folder are frames, with their depth: plain folders and those of datasets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
import re

import numpy as np

from robot_perception.core import (
    CalibrationError,
    CameraModel,
    NANOSECONDS_PER_SECOND,
    SourceError,
)
from robot_perception.image_files import is_image

PICTURE_SUFFIXES = (
    *('.jpg', '.jpeg', '.png', '.bmp', '.webp'),
    *('.tif', '.tiff', '.ppm', '.pgm'),
)
# Cameras write them; they are refused one by one, with what to do.
_OTHER_SUFFIXES = ('.heic', '.heif', '.avif', '.jxl', '.jp2', '.gif')
INTRINSICS_NAME = 'camera-intrinsics.txt'
_COLOR_MARK, _DEPTH_MARK = '.color', '.depth'
_COLOR_FOLDERS, _DEPTH_FOLDER = ('rgb', 'color', 'image', 'images'), 'depth'
_TUM_LISTS = ('rgb.txt', 'depth.txt')
_TUM_UNIT_M = 0.0002
# Within half a frame at 30 per second, as the tools of the dataset have it.
_MAX_OFFSET_S = 0.02
# More than the signature of any kind of image.
_START_BYTES = 64
# Files of calibrations: names within the folder, and what is before the numbers of a line.
_MATRIX_FILES = {
    'color': (INTRINSICS_NAME, 'intrinsic/intrinsic_color.txt', 'intrinsic_color.txt'),
    'depth': ('intrinsic/intrinsic_depth.txt', 'intrinsic_depth.txt'),
}
_INFO_NAMES = ('info.txt', '_info.txt')
_INFO_KEYS = {'color': 'm_calibrationColorIntrinsic', 'depth': 'm_calibrationDepthIntrinsic'}

# Focal lengths and principal point, pixels.
Pinhole = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, its depth and when it was taken.

    Attributes:
        color: file of the picture.
        depth: file of its depth; None without one.
        stamp_ns: time that the dataset states, nanoseconds; None without one.
    """

    color: Path
    depth: Path | None = None
    stamp_ns: int | None = None


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """The frames of a folder.

    Attributes:
        pictures: in order.
        color_camera: calibration of the pictures, None without one.
        depth_camera: calibration of the depth where it is another one; None otherwise.
        notes: sentences about what a user may want to know.
    """

    pictures: tuple[Picture, ...]
    color_camera: Pinhole | None = None
    depth_camera: Pinhole | None = None
    notes: tuple[str, ...] = ()


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture, by its content or, readable or not, by its name."""
    if not path.is_file():
        return False
    if _has_picture_name(path):
        return True
    with suppress(OSError), path.open('rb') as file:
        return is_image(file.read(_START_BYTES))
    return False


def _has_picture_name(path: Path) -> bool:
    return path.suffix.lower() in (*PICTURE_SUFFIXES, *_OTHER_SUFFIXES)


def find_pictures(path: Path) -> PictureFolder:
    """Find one picture, or the frames of a folder; subfolders are those of datasets only.

    Known are pairs ``NAME.color.*`` and ``NAME.depth.png`` (7-Scenes, BundleFusion), the folders
    ``rgb`` or ``color`` and ``depth`` with equal names (ScanNet), and those that ``rgb.txt`` and
    ``depth.txt`` join by time (TUM).

    Raises:
        SourceError: no pictures there, or a bad calibration.
    """
    if path.is_file():
        return PictureFolder((Picture(path),))
    files = _files(path)
    colors = [one for one in files if Path(one.stem).suffix == _COLOR_MARK]
    notes: tuple[str, ...] = ()
    if colors:
        pictures = [Picture(one, _depth_beside(one)) for one in colors]
    elif files:
        pictures = [Picture(one) for one in files]
    else:
        pictures, notes = _dataset(path)
    if not pictures:
        raise _no_pictures(path)
    if not any(one.depth for one in pictures):
        return PictureFolder(tuple(pictures), notes=notes)
    cameras = {kind: _calibration(path, kind) for kind in _MATRIX_FILES}
    return PictureFolder(tuple(pictures), cameras['color'], cameras['depth'], notes)


def _files(folder: Path) -> list[Path]:
    """Pictures of a folder by name, 2 before 10; without hidden ones, as macOS leaves them."""
    found = (one for one in folder.iterdir() if _has_picture_name(one) and one.is_file())
    return sorted((one for one in found if not one.name.startswith('.')), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.findall(r'\d+|\D+', path.name)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]


def _depth_beside(path: Path) -> Path | None:
    depth = path.with_name(f'{Path(path.stem).stem}{_DEPTH_MARK}.png')
    return depth if depth.exists() else None


def _dataset(folder: Path) -> tuple[list[Picture], tuple[str, ...]]:
    """Return the frames of a folder of color and one of depth, and notes."""
    rgb_list, depth_list = (folder / name for name in _TUM_LISTS)
    if rgb_list.is_file():
        depths = list(_listed(depth_list)) if depth_list.is_file() else []
        times_s = [time_s for time_s, _ in depths]
        pictures = [
            Picture(
                path,
                _nearest(depths, times_s, time_s),
                round(time_s * NANOSECONDS_PER_SECOND),
            )
            for time_s, path in _listed(rgb_list)
        ]
        note = (
            f'{folder}: depth of the TUM dataset has 5000 units for a meter: set '
            f'depth.unit_m={_TUM_UNIT_M} to use it.'
        )
        return pictures, (note,) if depths else ()
    color = next((folder / one for one in _COLOR_FOLDERS if (folder / one).is_dir()), None)
    if color is None or not (folder / _DEPTH_FOLDER).is_dir():
        return [], ()
    depth_by_stem = {one.stem: one for one in _files(folder / _DEPTH_FOLDER)}
    return [Picture(one, depth_by_stem.get(one.stem)) for one in _files(color)], ()


def _listed(path: Path) -> Iterator[tuple[float, Path]]:
    """Yield times in seconds and files of a list of the TUM dataset, by time."""
    rows = []
    try:
        for line in path.read_text(encoding='utf-8').splitlines():
            if line.strip() and not line.startswith('#'):
                time_s, name = line.split(maxsplit=1)
                rows.append((float(time_s), _within(path.parent, name.strip())))
    except (OSError, ValueError) as error:
        raise SourceError(
            'damaged',
            f'{path}: expected lines with a time and a file name, got something else ({error}). '
            'Copy the dataset again.',
        ) from error
    yield from sorted(rows)


def _within(folder: Path, name: str) -> Path:
    if folder.resolve() not in (folder / name).resolve().parents:
        raise ValueError(f'{name} is not in the folder')
    return folder / name


def _nearest(
    depths: Sequence[tuple[float, Path]], times_s: Sequence[float], time_s: float
) -> Path | None:
    at = bisect_left(times_s, time_s)
    near = depths[max(at - 1, 0) : at + 1]
    best = min(near, key=lambda row: abs(row[0] - time_s), default=None)
    return best[1] if best is not None and abs(best[0] - time_s) <= _MAX_OFFSET_S else None


def _calibration(folder: Path, kind: str) -> Pinhole | None:
    """Return the calibration that a dataset has for ``'color'`` or ``'depth'``, if any."""
    for name in _MATRIX_FILES[kind]:
        if (folder / name).is_file():
            return _pinhole(folder / name, (folder / name).read_text(encoding='utf-8'))
    for path in (folder / name for name in _INFO_NAMES):
        if path.is_file():
            for line in path.read_text(encoding='utf-8').splitlines():
                key, _, numbers = line.partition('=')
                if key.strip() == _INFO_KEYS[kind]:
                    return _pinhole(path, numbers)
    return None


def _pinhole(path: Path, text: str) -> Pinhole:
    try:
        numbers = np.array(text.split(), np.float64)
        rows = numbers.reshape(3, 3) if numbers.size == 9 else numbers.reshape(4, 4)  # noqa: PLR2004
        (fx, _, cx), (_, fy, cy) = rows[:2, :3].tolist()
        CameraModel((1, 1), fx, fy, cx, cy)
    except (ValueError, CalibrationError) as error:
        raise SourceError(
            'bad_calibration',
            f'{path}: expected three rows of three numbers, fx 0 cx, 0 fy cy, 0 0 1, '
            f'got something else ({error}). Write the camera matrix there, or take the file away.',
        ) from error
    return fx, fy, cx, cy


def _no_pictures(folder: Path) -> SourceError:
    within = sorted(one.name for one in folder.iterdir() if one.is_dir() and _files(one))
    remedy = f'Pass a folder with {", ".join(PICTURE_SUFFIXES)}.'
    if within:
        remedy = f'There are some in {", ".join(within[:5])}: pass one of these folders.'
    return SourceError(
        'no_images', f'{folder}: expected pictures in the folder, got none. {remedy}'
    )
