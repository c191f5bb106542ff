"""Mutations of compressedDepth, and which of them no reader may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import math
import random
import struct

import cv2
import numpy as np

from robot_perception.core import UInt16Array
from robot_perception.faults.mutation import Mutated, seeded, Verdict

_CODECS = ('png', 'rvl')
_NUMBERS = (0.0, -1.0, math.nan, math.inf, -math.inf, 1e38, 1e-38)
_FORMATS = (
    *('', 'jpeg', '16UC1', '32FC1', 'rgb8; jpeg compressed bgr8', '16UC1; compressedDepth zip'),
    *('8UC1; compressedDepth png', '32FC1; compressedDepth', 'x' * 10_000, '16UC1;;;'),
)
_HEADER_BYTES = 12
_RVL_SIZES = ((0, 0), (1, 1), (65535, 65535), (2**32 - 1, 2**32 - 1), (2**16, 2**16))

# Data and format of a message.
Packet = tuple[bytes, str]
_Change = Callable[[random.Random, Packet], tuple[Packet, Verdict]]


def encode_rvl(depth: UInt16Array) -> bytes:
    """Return the RVL stream of a (H, W) depth image, number by number as it is defined."""
    numbers: list[int] = []
    values = [int(value) for value in depth.flat]
    at = previous = 0
    while at < len(values):
        start = at
        while at < len(values) and not values[at]:
            at += 1
        numbers.append(at - start)
        start = at
        while at < len(values) and values[at]:
            at += 1
        numbers.append(at - start)
        for value in values[start:at]:
            difference, previous = value - previous, value
            numbers.append(2 * difference if difference >= 0 else -2 * difference - 1)
    groups = []
    for number in numbers:
        rest = number
        while rest >= 8:  # noqa: PLR2004 - three bits
            groups.append(rest % 8 + 8)
            rest //= 8
        groups.append(rest)
    groups += [0] * (-len(groups) % 8)
    digits = ''.join(f'{group:x}' for group in groups)
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    return struct.pack(f'<{2 + len(words)}I', depth.shape[1], depth.shape[0], *words)


def compressed_depth(
    depth: UInt16Array, codec: str, scale: float = 0.0, offset: float = 0.0
) -> bytes:
    """Return the data of a message: (H, W) uint16 as 'png' or 'rvl' behind the header."""
    body = encode_rvl(depth) if codec == 'rvl' else cv2.imencode('.png', depth)[1].tobytes()
    return struct.pack('<iff', 0, scale, offset) + body


def good_packet(rng: random.Random, size_hw: tuple[int, int]) -> Packet:
    """Return a valid depth image with holes, 0.5 to 5 m away."""
    noise = np.random.default_rng(rng.randrange(2**32))
    codec, encoding = rng.choice(_CODECS), rng.choice(('16UC1', '32FC1'))
    if encoding == '16UC1':
        raw, scale, offset = noise.integers(500, 5000, size_hw), 0.0, 0.0
    else:
        # Inverse depth as image_transport quantizes it.
        scale, offset = 10_100.0, -1009.0
        raw = (scale / noise.uniform(0.5, 5.0, size_hw) + offset).astype(np.int64)
    raw[noise.random(size_hw) < 0.1] = 0  # noqa: PLR2004 - some are unknown
    data = compressed_depth(raw.astype(np.uint16), codec, scale, offset)
    return data, f'{encoding}; compressedDepth {codec}'


def _unchanged(_: random.Random, packet: Packet) -> tuple[Packet, Verdict]:
    return packet, Verdict.LEGAL


def _cut(rng: random.Random, packet: Packet) -> tuple[Packet, Verdict]:
    data, name = packet
    # The last word of RVL may be filling.
    return (data[: (len(data) - 8) * rng.randrange(16) // 16], name), Verdict.REFUSED


def _flipped(rng: random.Random, packet: Packet) -> tuple[Packet, Verdict]:
    data = bytearray(packet[0])
    for _ in range(rng.choice((1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return (bytes(data), packet[1]), Verdict.EITHER


def _quantization(rng: random.Random, packet: Packet) -> tuple[Packet, Verdict]:
    data, name = packet
    numbers = rng.choice(_NUMBERS), rng.choice(_NUMBERS)
    # Encoders leave both undefined where they have no meaning.
    unusable = not all(map(math.isfinite, numbers)) or numbers[0] <= 0
    verdict = Verdict.REFUSED if unusable else Verdict.EITHER
    if name.startswith('16UC1'):
        verdict = Verdict.LEGAL
    return (data[:4] + struct.pack('<ff', *numbers) + data[_HEADER_BYTES:], name), verdict


def _format(rng: random.Random, packet: Packet) -> tuple[Packet, Verdict]:
    return (packet[0], rng.choice(_FORMATS)), Verdict.EITHER


def _size(rng: random.Random, packet: Packet) -> tuple[Packet, Verdict]:
    """State another size than the coded data has."""
    data, name = packet
    if name.endswith('rvl'):
        width, height = rng.choice(_RVL_SIZES)
        changed = data[:_HEADER_BYTES] + struct.pack('<II', width, height) + data[20:]
        return (changed, name), Verdict.REFUSED
    side = rng.choice((0, 30_000, 2**32 - 1))
    at = _HEADER_BYTES + 16
    return (data[:at] + struct.pack('>II', side, side) + data[at + 8 :], name), Verdict.REFUSED


def _garbage(rng: random.Random, packet: Packet) -> tuple[Packet, Verdict]:
    start = packet[0][: rng.choice((0, 4, 12, 20, 28))]
    return (start + rng.randbytes(rng.choice((0, 1, 10, 1000))), packet[1]), Verdict.EITHER


MUTATORS: tuple[_Change, ...] = (
    *(_unchanged, _cut, _flipped, _quantization, _format, _size, _garbage),
)


def mutated_packets(
    count: int, size_hw: tuple[int, int], seed: int = 0
) -> Iterator[Mutated[Packet]]:
    """Yield ``count`` pairs of data and format: all mutators in turn."""
    rng = seeded(seed)
    for number in range(count):
        change = MUTATORS[number % len(MUTATORS)]
        packet, verdict = change(rng, good_packet(rng, size_hw))
        yield Mutated(f'{number}-{change.__name__.lstrip("_")}', packet, verdict)
