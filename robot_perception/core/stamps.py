"""Time stamps: whole nanoseconds since the epoch of the clock in use."""

from __future__ import annotations

NANOSECONDS_PER_SECOND = 1_000_000_000


def format_stamp(stamp_ns: int) -> str:
    """Return a stamp in seconds, exact to the microsecond.

    >>> format_stamp(1_700_000_000_123_456_789)
    '1700000000.123456 s'

    """
    sign, microseconds = ('-' if stamp_ns < 0 else ''), abs(stamp_ns) // 1000
    return f'{sign}{microseconds // 1_000_000}.{microseconds % 1_000_000:06d} s'
