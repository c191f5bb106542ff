"""Point clouds as PLY files, which CloudCompare, MeshLab and Open3D open."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from robot_perception.core import OutputError, PointCloud, write_bytes

_POINT = np.dtype([('xyz', '<f4', 3), ('rgb', 'u1', 3)])
_HEADER = """ply
format binary_little_endian 1.0
element vertex {points}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
end_header
"""


def write_ply(cloud: PointCloud, path: str | os.PathLike[str]) -> None:
    """Write `encode_ply` of a cloud into a file, atomically.

    Args:
        cloud: what to write.
        path: file to make or replace, ending in ``.ply``; its folder must exist.

    Raises:
        OutputError: ``'wrong_suffix'``, the name ends otherwise; ``'cannot_write'``, the
            operating system refused.
    """
    target = Path(path)
    if target.suffix != '.ply':
        raise OutputError(
            'wrong_suffix', f'{target}: expected a name ending in .ply, got {target.suffix!r}.'
        )
    write_bytes(target, encode_ply(cloud))


def encode_ply(cloud: PointCloud) -> bytes:
    """Return the known points of a cloud as a binary PLY file.

    x, y, z are float32 meters in the optical frame, colors uint8. A cloud with no known point
    makes a valid file of no points.
    """
    xyz, rgb = cloud.known()
    points = np.empty(len(xyz), _POINT)
    points['xyz'], points['rgb'] = xyz, rgb
    return b''.join((_HEADER.format(points=len(points)).encode(), points.data))
