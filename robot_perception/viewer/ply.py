"""Point clouds as PLY files, which CloudCompare, MeshLab and Open3D open."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from robot_perception.core import Float32Array, OutputError, PointCloud, replacing_file, UInt8Array

_END_OF_HEADER = b'end_header\n'
_BYTES_PER_POINT = 3 * 4 + 3
_EMPTY = (
    b'ply\nformat binary_little_endian 1.0\nelement vertex 0\n'
    b'property float x\nproperty float y\nproperty float z\n'
    b'property uchar red\nproperty uchar green\nproperty uchar blue\n' + _END_OF_HEADER
)


def write_ply(cloud: PointCloud, path: str | os.PathLike[str]) -> None:
    """Write the known points of a cloud as a binary PLY file.

    Args:
        cloud: x, y, z become float32 metres in the optical frame, colours uint8. A cloud with no
            known point gives a valid file of no points.
        path: file to make or replace, ending in ``.ply``; its folder must exist.

    Raises:
        OutputError: the name ends otherwise, Open3D cannot be loaded, or the file cannot be
            written; no half-written file is left.

    """
    target = Path(path)
    if target.suffix != '.ply':
        raise OutputError(f'{target}: expected a name ending in .ply, got {target.suffix!r}.')
    xyz, rgb = cloud.known()
    with replacing_file(target) as part:
        if len(xyz) == 0:
            # Open3D refuses to write a cloud without points.
            part.write_bytes(_EMPTY)
            return
        _write_points(xyz, rgb, part)
        # Open3D reports success also when the disk was full.
        if not _is_whole(part, len(xyz)):
            raise OutputError(
                f'{target}: cannot be written: the file came out incomplete. '
                'Check the folder, its permissions and the free space.'
            )


def _write_points(xyz: Float32Array, rgb: UInt8Array, path: Path) -> None:
    try:
        import open3d  # noqa: PLC0415 - takes seconds to load, and only this function needs it
    except (ImportError, OSError) as error:
        raise OutputError(
            f'Open3D cannot be loaded: {error}. A .ply file needs it: install the Python package '
            'open3d and the system package libusb-1.0-0.'
        ) from error
    points = open3d.t.geometry.PointCloud(open3d.core.Tensor.from_numpy(np.ascontiguousarray(xyz)))
    points.point.colors = open3d.core.Tensor.from_numpy(np.ascontiguousarray(rgb))
    silent = open3d.utility.VerbosityLevel.Error
    with open3d.utility.VerbosityContextManager(silent):
        open3d.t.io.write_point_cloud(path, points)


def _is_whole(path: Path, points: int) -> bool:
    if not path.exists():
        return False
    with path.open('rb') as file:
        header = file.read(1024).partition(_END_OF_HEADER)[0]
    expected = len(header) + len(_END_OF_HEADER) + points * _BYTES_PER_POINT
    return path.stat().st_size == expected
