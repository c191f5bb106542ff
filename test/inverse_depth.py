"""Inverse depth as image_transport quantizes it."""

import numpy as np


def quantize(meters, quantization=100.0, max_m=10.0):
    """Return inverse depth as the transport quantizes it, and the two numbers of the header."""
    scale = quantization * (quantization + 1)
    offset = 1 - scale / max_m
    known = np.isfinite(meters) & (meters < max_m)
    raw = np.zeros(meters.shape, np.uint16)
    raw[known] = np.trunc(scale / meters[known] + offset)
    return raw, scale, offset
