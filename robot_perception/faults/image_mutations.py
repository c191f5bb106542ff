"""Mutations of image messages, and which of them are valid nevertheless.

The properties of encodings are defined here a second time, from sensor_msgs/image_encodings: the
verdict does not depend on the code under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
import math
import random

import numpy as np

from robot_perception.conversions import Message, MessageFactory, ros
from robot_perception.faults.mutation import Mutated, seeded, Verdict

MAX_PIXELS = 2**25
_HUGE = (0, 1, 7, 65535, 65536, 65537, 0x40000001, 2**31, 2**32 - 1)
_YEAR_S = 365 * 24 * 3600
_MAX_FRAME_ID = 4096


@dataclass(frozen=True, slots=True)
class _Format:
    """Bytes of a pixel, which sides must be even ('w' and 'h'), and the shortest side."""

    pixel_bytes: int
    even: str = ''
    shortest: int = 1

    def rows(self, height: int) -> int:
        """Return the rows of data of an image of ``height`` rows."""
        return height * 3 // 2 if 'h' in self.even else height


COLOR = {
    'rgb8': _Format(3),
    'bgr8': _Format(3),
    '8UC3': _Format(3),
    'rgba8': _Format(4),
    'bgra8': _Format(4),
    'mono8': _Format(1),
    '8UC1': _Format(1),
    'mono16': _Format(2),
    'RGB8': _Format(3),
    'rgb16': _Format(6),
    '32FC3': _Format(12),
    **dict.fromkeys(('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'), _Format(2, 'w')),
    **{f'bayer_{pattern}8': _Format(1, '', 3) for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')},
    'nv12': _Format(1, 'wh'),
    'nv21': _Format(1, 'wh'),
}
DEPTH = {'16UC1': _Format(2), 'mono16': _Format(2), '32FC1': _Format(4)}
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
    'jpeg',
    '../../etc',
)


@dataclass(slots=True)
class ImageFields:
    """The fields of a sensor_msgs/msg/Image; anything that its definition can hold."""

    sec: int
    nanosec: int
    frame_id: str
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: bytes

    def message(self, factory: MessageFactory) -> Message:
        """Build the message."""
        stamp = factory(ros.Time, sec=self.sec, nanosec=self.nanosec)
        return factory(
            ros.Image,
            header=factory(ros.Header, stamp=stamp, frame_id=self.frame_id),
            height=self.height,
            width=self.width,
            encoding=self.encoding,
            is_bigendian=self.is_bigendian,
            step=self.step,
            data=factory.sequence(np.frombuffer(self.data, np.uint8)),
        )


def good_image(
    seed: int = 0, height: int = 12, width: int = 16, encoding: str = 'rgb8'
) -> ImageFields:
    """Return a valid image, or depth image, of noise."""
    form = {**DEPTH, **COLOR}[encoding]
    return ImageFields(
        sec=100 + seed,
        nanosec=250_000_000,
        frame_id='camera_optical_frame',
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * form.pixel_bytes,
        data=seeded(seed).randbytes(form.rows(height) * width * form.pixel_bytes),
    )


def is_valid(fields: ImageFields, formats: dict[str, _Format] = COLOR) -> bool:
    """Return whether an image with these fields must be accepted."""
    form = formats.get(fields.encoding)
    height, width, step = fields.height, fields.width, fields.step
    if form is None or height < 1 or width < 1 or height * width > MAX_PIXELS:
        return False
    return (
        min(height, width) >= form.shortest
        and not ('w' in form.even and width % 2)
        and not ('h' in form.even and height % 2)
        and step >= width * form.pixel_bytes
        and len(fields.data) == step * form.rows(height)
        and fields.sec >= 0
        and fields.nanosec < 10**9
        and len(fields.frame_id) <= _MAX_FRAME_ID
    )


_Change = Callable[[ImageFields], ImageFields]
_Mutator = tuple[str, _Change]


def _set(name: str, value: object) -> _Mutator:
    def change(fields: ImageFields) -> ImageFields:
        return replace(fields, **{name: value})  # type: ignore[arg-type]

    return f'{name}={str(value)[:12]}', change


def _both_sides(height: int, width: int) -> _Mutator:
    step = width * 3 % 2**32
    return f'claims_{width}x{height}', lambda one: replace(
        one, height=height, width=width, step=step
    )


def _step(label: str, of: Callable[[int], int]) -> _Mutator:
    return f'step_{label}', lambda one: replace(one, step=of(one.step))


def _data(label: str, of: Callable[[bytes], bytes]) -> _Mutator:
    return f'data_{label}', lambda one: replace(one, data=of(one.data))


def _stamp(label: str, seconds: int) -> _Mutator:
    return f'stamp_{label}', lambda one: replace(one, sec=one.sec + seconds)


def _pad(extra: int, fields: ImageFields) -> ImageFields:
    step, data = fields.step, fields.data
    padded = b''.join(
        data[start : start + step] + b'\xab' * extra for start in range(0, len(data), step)
    )
    return replace(fields, data=padded, step=step + extra)


def _last_padding_missing(fields: ImageFields) -> ImageFields:
    padded = _pad(5, fields)
    return replace(padded, data=padded.data[:-5])


MUTATORS: tuple[_Mutator, ...] = (
    *(_set(*case) for case in product(('height', 'width'), _HUGE)),
    *(_both_sides(*case) for case in product((65536, 2**31, 2**32 - 1), repeat=2)),
    _both_sides(4, 0x40000001),
    _step('zero', lambda _: 0),
    _step('one_less', lambda step: step - 1),
    _step('half', lambda step: step // 2),
    _step('one_more', lambda step: step + 1),
    _step('not_a_multiple', lambda step: step + 7),
    _step('huge', lambda _: 2**32 - 1),
    *((f'padded_by_{extra}', partial(_pad, extra)) for extra in (1, 3, 64)),
    ('last_padding_missing', _last_padding_missing),
    _data('empty', lambda _: b''),
    _data('one_less', lambda data: data[:-1]),
    _data('one_more', lambda data: data + b'\0'),
    _data('half', lambda data: data[: len(data) // 2]),
    _data('twice', lambda data: data * 2),
    *(_set('encoding', name) for name in _BAD_ENCODINGS),
    # Another encoding than that of the data; depth on a topic of color, and the reverse.
    *(_set('encoding', name) for name in {**COLOR, **DEPTH}),
    *(_set('is_bigendian', value) for value in (1, 2, 255)),
    ('stamp_zero', lambda one: replace(one, sec=0, nanosec=0)),
    _set('sec', -1),
    _set('sec', -(2**31)),
    _set('sec', 2**31 - 1),
    _set('nanosec', 10**9),
    _set('nanosec', 2**32 - 1),
    _stamp('in_a_year', _YEAR_S),
    _stamp('back', -100),
    _set('frame_id', ''),
    _set('frame_id', '/x'),
    _set('frame_id', 'f' * 65536),
)


def mutated_images(
    count: int,
    seed: int = 0,
    formats: dict[str, _Format] = COLOR,
    size_hw: tuple[int, int] | None = None,
) -> Iterator[Mutated[ImageFields]]:
    """Yield ``count`` images: all mutators in turn, applied to random valid images.

    Args:
        count: number of images.
        seed: of the choices.
        formats: encodings of valid images, `COLOR` or `DEPTH`.
        size_hw: rows and columns of valid images; None for random ones.
    """
    rng = seeded(seed)
    for number in range(count):
        name, change = MUTATORS[number % len(MUTATORS)]
        first = next(iter(formats))
        height, width = size_hw or (2 * rng.randint(2, 24), 2 * rng.randint(2, 24))
        fields = change(
            good_image(
                seed=rng.randrange(10_000),
                height=height,
                width=width,
                encoding=first if number < len(MUTATORS) else rng.choice(list(formats)),
            )
        )
        verdict = Verdict.LEGAL if is_valid(fields, formats) else Verdict.REFUSED
        yield Mutated(f'{number}-{fields.encoding[:12]}-{name[:40]}', fields, verdict)


def invalid_depths(
    count: int, size_hw: tuple[int, int], seed: int = 0
) -> Iterator[tuple[float, ImageFields]]:
    """Yield valid depth images of which 0 to 100 % of the pixels are invalid, with that share."""
    rng = seeded(seed)
    for number in range(count):
        share = number / max(count - 1, 1)
        encoding = rng.choice(list(DEPTH))
        yield share, _invalid_depth(rng, encoding, share, size_hw, sec=1000 + number)


def _invalid_depth(
    rng: random.Random, encoding: str, share: float, size_hw: tuple[int, int], sec: int
) -> ImageFields:
    noise = np.random.default_rng(rng.randrange(2**32))
    height, width = size_hw
    meters = noise.uniform(0.5, 5.0, size_hw)
    unknown: tuple[float, ...]
    if encoding == '32FC1':
        pixels = meters.astype('<f4')
        unknown = (math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 1e-38, 1e30)
    else:
        pixels = (1000 * meters).astype('<u2')
        unknown = (0.0, 65535.0)
    invalid = noise.permutation(height * width)[: round(share * height * width)]
    pixels.reshape(-1)[invalid] = noise.choice(np.array(unknown, pixels.dtype), len(invalid))
    fields = good_image(height=height, width=width, encoding=encoding)
    return replace(fields, sec=sec, data=pixels.tobytes())
