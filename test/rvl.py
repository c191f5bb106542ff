"""RVL of depth images, one value at a time, and compressedDepth as image_transport encodes it.

Independent of the code under test: it follows the description of the stream, number by number.
"""

import struct

import cv2
import numpy as np


def encode_rvl(depth):
    """Return the bytes of a (H, W) uint16 depth image."""
    numbers = []
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
        while rest >= 8:
            groups.append(rest % 8 + 8)
            rest //= 8
        groups.append(rest)
    groups += [0] * (-len(groups) % 8)
    digits = ''.join(f'{group:x}' for group in groups)
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    return struct.pack(f'<{2 + len(words)}I', depth.shape[1], depth.shape[0], *words)


def compressed_depth(depth, codec, scale=0.0, offset=0.0):
    """Return the data of a message: (H, W) uint16 as 'png' or 'rvl' behind the header."""
    body = encode_rvl(depth) if codec == 'rvl' else cv2.imencode('.png', depth)[1].tobytes()
    return struct.pack('<iff', 0, scale, offset) + body


def quantize(meters, quantization=100.0, max_m=10.0):
    """Return inverse depth as the transport quantizes it, and the two numbers of the header."""
    scale = quantization * (quantization + 1)
    offset = 1 - scale / max_m
    known = np.isfinite(meters) & (meters < max_m)
    raw = np.zeros(meters.shape, np.uint16)
    raw[known] = np.trunc(scale / meters[known] + offset)
    return raw, scale, offset
