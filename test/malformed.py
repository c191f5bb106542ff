"""Malformed image messages, with an oracle for those that are valid nevertheless.

The mutators are independent of the code under test: the properties of encodings are defined here a
second time, from sensor_msgs/image_encodings.
"""

from itertools import product
import random

MAX_PIXELS = 2**25
_HUGE = (0, 1, 7, 65535, 65536, 65537, 0x40000001, 2**31, 2**32 - 1)

# Encoding -> bytes per pixel, sides that must be even, minimum side.
_BAYER = {f'bayer_{pattern}8': (1, '', 3) for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')}
_YUV422 = dict.fromkeys(('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'), (2, 'w', 1))
_GOOD_ENCODINGS = {
    'rgb8': (3, '', 1),
    'bgr8': (3, '', 1),
    '8UC3': (3, '', 1),
    'rgba8': (4, '', 1),
    'bgra8': (4, '', 1),
    'mono8': (1, '', 1),
    '8UC1': (1, '', 1),
    'mono16': (2, '', 1),
    'RGB8': (3, '', 1),
    'rgb16': (6, '', 1),
    '32FC3': (12, '', 1),
    **_YUV422,
    **_BAYER,
    'nv12': (1, 'wh', 1),
    'nv21': (1, 'wh', 1),
}
_BAD_ENCODINGS = (
    '',
    'unknown',
    'bgr8 ',
    'b\u00fcgr8',
    '\u4e2d\u6587',
    'x' * 10_000,
    '8UC5',
    '8UC-1',
    '8UC999999999',
    '16UC1',
    '32FC1',
    'jpeg',
    '../../etc',
)


def _random(seed):
    return random.Random(seed)  # noqa: S311 - reproducible


def good_image(seed=0, height=12, width=16, encoding='rgb8'):
    """Return the fields of a valid image message."""
    pixel_bytes = _GOOD_ENCODINGS[encoding][0]
    rows = height * 3 // 2 if encoding.startswith('nv') else height
    return {
        'sec': 100 + seed,
        'nanosec': 250_000_000,
        'frame_id': 'camera_optical_frame',
        'height': height,
        'width': width,
        'encoding': encoding,
        'is_bigendian': 0,
        'step': width * pixel_bytes,
        'data': _random(seed).randbytes(rows * width * pixel_bytes),
    }


def is_valid(fields):
    """Return whether an image with these fields must be accepted: the oracle."""
    needs = _GOOD_ENCODINGS.get(fields['encoding'])
    height, width, step = fields['height'], fields['width'], fields['step']
    if needs is None or height < 1 or width < 1 or height * width > MAX_PIXELS:
        return False
    pixel_bytes, even, shortest = needs
    rows = height * 3 // 2 if 'h' in even else height
    return (
        min(height, width) >= shortest
        and not ('w' in even and width % 2)
        and not ('h' in even and height % 2)
        and step >= width * pixel_bytes
        and len(fields['data']) == step * rows
        and fields['sec'] >= 0
        and fields['nanosec'] < 10**9
        and len(fields['frame_id']) <= 4096
    )


def _sized(name, value):
    def change(fields):
        fields[name] = value

    return f'{name}={value}', change


def _both_sides(height, width):
    def change(fields):
        fields.update(height=height, width=width, step=width * 3 % 2**32)

    return f'claims_{width}x{height}', change


def _step(label, of):
    def change(fields):
        fields['step'] = of(fields['step'])

    return f'step_{label}', change


def _padded(extra):
    def change(fields):
        step = fields['step']
        rows = len(fields['data']) // step
        data = fields['data']
        fields['data'] = b''.join(
            data[row * step : (row + 1) * step] + b'\xab' * extra for row in range(rows)
        )
        fields['step'] = step + extra

    return f'padded_by_{extra}', change


def _data(label, of):
    def change(fields):
        fields['data'] = of(fields['data'])

    return f'data_{label}', change


def _last_padding_missing(fields):
    _padded(5)[1](fields)
    fields['data'] = fields['data'][:-5]


def _header(**changes):
    label = next(iter(changes))
    shown = str(changes[label])[:12]
    return f'{label}={shown}', lambda fields: fields.update(changes)


MUTATORS = [
    *(_sized(*case) for case in product(('height', 'width'), _HUGE)),
    *(_both_sides(*case) for case in product((65536, 2**31, 2**32 - 1), repeat=2)),
    _both_sides(4, 0x40000001),
    _step('zero', lambda step: 0),
    _step('one_less', lambda step: step - 1),
    _step('half', lambda step: step // 2),
    _step('one_more', lambda step: step + 1),
    _step('not_a_multiple', lambda step: step + 7),
    _step('huge', lambda step: 2**32 - 1),
    *(_padded(extra) for extra in (1, 3, 64)),
    ('last_padding_missing', _last_padding_missing),
    _data('empty', lambda data: b''),
    _data('one_less', lambda data: data[:-1]),
    _data('one_more', lambda data: data + b'\0'),
    _data('half', lambda data: data[: len(data) // 2]),
    _data('twice', lambda data: data * 2),
    *(_sized('encoding', name) for name in _BAD_ENCODINGS),
    # Another encoding than that of the data.
    *(_sized('encoding', name) for name in _GOOD_ENCODINGS),
    *(_sized('is_bigendian', value) for value in (1, 2, 255)),
    _header(sec=0, nanosec=0),
    _header(sec=-1),
    _header(sec=-(2**31)),
    _header(sec=2**31 - 1),
    _header(nanosec=10**9),
    _header(nanosec=2**32 - 1),
    _header(frame_id=''),
    _header(frame_id='/x'),
    _header(frame_id='f' * 65536),
]


def malformed_images(count, seed=0):
    """Generate ``count`` images: all mutators in turn, applied to random valid images.

    Yields:
        Name of the case; its fields: sec, nanosec, frame_id, height, width, encoding,
        is_bigendian, step, data (bytes); whether the image must be accepted.
    """
    rng = _random(seed)
    encodings = list(_GOOD_ENCODINGS)
    for number in range(count):
        name, change = MUTATORS[number % len(MUTATORS)]
        fields = good_image(
            seed=rng.randrange(10_000),
            height=2 * rng.randint(2, 24),
            width=2 * rng.randint(2, 24),
            encoding='rgb8' if number < len(MUTATORS) else rng.choice(encodings),
        )
        change(fields)
        yield f'{number}-{fields["encoding"][:12]}-{name[:40]}', fields, is_valid(fields)
