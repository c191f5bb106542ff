"""Image messages as plain objects, for tests of several packages."""

from types import SimpleNamespace

import numpy as np

STAMP_NS = 12_345_678_901


def as_message(fields):
    """Convert fields by name to an image message."""
    stamp = SimpleNamespace(sec=fields['sec'], nanosec=fields['nanosec'])
    names = ('height', 'width', 'encoding', 'is_bigendian', 'step', 'data')
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id=fields['frame_id']),
        **{name: fields[name] for name in names},
    )


def raw_image(rows, name, /, *, padding=0, height=None, **changes):
    """Build an image message from an array, one row of data per row of the array."""
    lines = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
    padded = np.pad(lines, ((0, 0), (0, padding)), constant_values=0xAB)
    fields = {
        'sec': STAMP_NS // 10**9,
        'nanosec': STAMP_NS % 10**9,
        'frame_id': 'camera_optical_frame',
        'height': len(rows) if height is None else height,
        'width': rows.shape[1],
        'encoding': name,
        'is_bigendian': 0,
        'step': padded.shape[1],
        'data': padded.tobytes(),
    }
    return as_message(fields | changes)


def smooth(height=24, width=32):
    """Return an RGB image without edges."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([40 + 4 * columns, 200 - 5 * rows, 60 + 2 * rows + 2 * columns], -1).astype(
        np.uint8
    )


def mosaic(rgb, pattern):
    """Return raw pixels of a sensor with a Bayer pattern such as 'rggb', from the top left."""
    raw = np.empty(rgb.shape[:2], np.uint8)
    for index, letter in enumerate(pattern):
        top, left = divmod(index, 2)
        raw[top::2, left::2] = rgb[top::2, left::2, 'rgb'.index(letter)]
    return raw
