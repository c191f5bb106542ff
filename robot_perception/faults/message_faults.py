"""Rows 1 to 8 of the fault table: messages that no sender should send."""

from __future__ import annotations

from robot_perception.faults import stream_rows
from robot_perception.faults.fault import Fault
from robot_perception.faults.middleware_faults import send_broken, send_malformed

_OVER_DDS = (
    'trials are those of each of six inputs: 0 crashes, each image that the middleware can read '
    'received and accounted for, every 50th valid and as before, /diagnostics OK afterwards, '
    'at most 256 MiB more'
)

MESSAGE_FAULTS = (
    Fault(
        1,
        'step, encoding, size or data of an image do not fit',
        'refused with the reason; padded rows are legal',
        '0 wrong verdicts, 0 crashes, every 50th image valid and as before',
        10_000,
        200,
        stream_rows.images,
    ),
    Fault(
        3,
        'images without pixels, of one pixel, odd, thin',
        'without pixels refused, all others processed',
        '81 sizes, 0 crashes',
        81,
        81,
        stream_rows.sizes,
    ),
    Fault(
        4,
        'images that claim up to 2^32 - 1 rows and columns',
        'refused before memory is allocated',
        'at most 5 ms each, 16 MiB in all',
        500,
        50,
        stream_rows.claims,
    ),
    Fault(
        5,
        'another resolution and encoding every tenth image',
        'each image has outputs of its size',
        '0 outputs of another size',
        2000,
        60,
        stream_rows.switches,
    ),
    Fault(
        6,
        'depth of which 0 to 100 % is invalid',
        'unknown points, no position from them, all invalid is an error',
        '0 coordinates that are not finite',
        1000,
        40,
        stream_rows.invalid_depth,
    ),
    Fault(
        6,
        'depth images and compressedDepth that are malformed',
        'refused with the reason; 2D goes on',
        '0 wrong verdicts, 0 results in 3D from refused depth',
        10_000,
        84,
        stream_rows.mutated_depth,
    ),
    Fault(
        7,
        'calibrations that cannot be right',
        '2D goes on, 3D stops, the reason is in /diagnostics',
        '0 wrong verdicts, nothing beyond ten times the depth',
        10_000,
        84,
        stream_rows.calibrations,
    ),
    Fault(
        8,
        'decompression bombs, garbage and damaged image files',
        'refused before they are decoded',
        'p99 below 0.1 s, at most 192 MiB',
        2000,
        84,
        stream_rows.files,
    ),
    Fault(
        8,
        'decompression bombs of 13 kinds, each of another size',
        'refused before they are decoded',
        'refused within 50 ms (p99), at most 192 MiB',
        2000,
        39,
        stream_rows.decompression_bombs,
    ),
)

MIDDLEWARE_FAULTS = (
    Fault(
        1,
        'malformed messages to every input, over DDS',
        'as on the stream',
        _OVER_DDS,
        10_000,
        100,
        send_malformed,
    ),
    Fault(
        2,
        'serialized messages that are cut, changed or random, over DDS',
        'the middleware discards what it cannot read; a broken length takes no memory',
        _OVER_DDS,
        10_000,
        100,
        send_broken,
    ),
)

TRANSFORM_FAULT = Fault(
    19,
    'transforms that are not valid',
    'ignored, the reason is in /diagnostics',
    '0 objects that move',
    10_000,
    60,
    stream_rows.transforms,
)
