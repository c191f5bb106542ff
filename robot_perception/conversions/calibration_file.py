"""Calibration files in the format of camera drivers (camera_info_manager, camera_calibration)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import os
from pathlib import Path
import re
from urllib.parse import unquote, urlsplit

import yaml

from robot_perception.core import CalibrationError

_RECTIFICATION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_ROS_HOME = re.compile(r'\$\{ROS_HOME\}')


@dataclass(frozen=True, slots=True)
class Region:
    """The region of interest of a `CalibrationFile`, as sensor_msgs/msg/RegionOfInterest."""

    x_offset: int = 0
    y_offset: int = 0
    height: int = 0
    width: int = 0
    do_rectify: bool = False


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """The contents of a calibration file, with the fields of sensor_msgs/msg/CameraInfo."""

    height: int
    width: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]
    binning_x: int = 0
    binning_y: int = 0
    roi: Region = Region()


def read_calibration_file(url: str) -> CalibrationFile:
    """Read a calibration from a YAML file.

    The numbers are checked when `to_camera` converts the result.

    Args:
        url: ``file:///path``, ``package://package/path`` (a package of a sourced workspace) or a
            path. ``${ROS_HOME}`` is replaced as in camera_info_manager.

    Raises:
        CalibrationError: reasons ``'url'``, ``'missing_file'``, ``'not_yaml'``,
            ``'missing_field'`` and ``'wrong_type'``.
    """
    path = _resolve(url)
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise CalibrationError(
            'missing_file',
            f'{url}: expected a calibration file, got none ({error.strerror}: {path}). '
            'Correct camera.info_url.',
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CalibrationError(
            'not_yaml',
            f'{url}: expected YAML as camera_calibration writes it, got {error}. '
            'Convert it with camera_calibration_parsers.',
        ) from error
    if not isinstance(document, Mapping):
        raise _missing(url, 'camera_matrix')
    return CalibrationFile(
        _integer(url, document, 'image_height'),
        _integer(url, document, 'image_width'),
        str(document.get('distortion_model', 'plumb_bob')),
        _matrix(url, document, 'distortion_coefficients', ()),
        _matrix(url, document, 'camera_matrix', None),
        _matrix(url, document, 'rectification_matrix', _RECTIFICATION),
        _matrix(url, document, 'projection_matrix', (0.0,) * 12),
    )


def _resolve(url: str) -> Path:
    """Return the path of a URL."""
    ros_home = os.environ.get('ROS_HOME') or '~/.ros'
    parts = urlsplit(_ROS_HOME.sub(lambda _: ros_home, url))
    if not parts.scheme:
        return Path(parts.path).expanduser()
    path = unquote(parts.path)
    if parts.scheme == 'file' and parts.netloc in {'', 'localhost'}:
        return Path(path).expanduser()
    if parts.scheme == 'package' and parts.netloc:
        prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
        for prefix in filter(None, prefixes):
            share = Path(prefix, 'share', parts.netloc)
            if share.is_dir():
                return share / path.lstrip('/')
        raise CalibrationError(
            'url',
            f'{url}: expected a package of a sourced workspace, got {parts.netloc!r}, which is '
            'not in AMENT_PREFIX_PATH. Source its setup file, or set camera.info_url to a path.',
        )
    raise CalibrationError(
        'url',
        f'{url}: expected a path, file:///path or package://package/path. '
        'Correct camera.info_url.',
    )


def _integer(url: str, document: Mapping[str, object], name: str) -> int:
    value = document.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CalibrationError(
            'wrong_type', f'{url}: {name}: expected a whole number, got {value!r}. Correct it.'
        )
    return value


def _matrix(
    url: str, document: Mapping[str, object], name: str, default: tuple[float, ...] | None
) -> tuple[float, ...]:
    """Return the numbers under ``data`` of a matrix, or of a plain list."""
    matrix = document.get(name)
    if matrix is None:
        if default is None:
            raise _missing(url, name)
        return default
    numbers = matrix.get('data') if isinstance(matrix, Mapping) else matrix
    try:
        return tuple(float(number) for number in numbers)  # type: ignore[union-attr] # tested
    except (TypeError, ValueError) as error:
        raise CalibrationError(
            'wrong_type',
            f'{url}: {name}: expected numbers under "data", got {error}. '
            'Write it with camera_calibration.',
        ) from error


def _missing(url: str, name: str) -> CalibrationError:
    return CalibrationError(
        'missing_field',
        f'{url}: expected a calibration as camera_calibration writes it, with image_width, '
        f'image_height, camera_matrix and distortion_coefficients, got no {name}. '
        'Calibrate with camera_calibration, or convert the file.',
    )
