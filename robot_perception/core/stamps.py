"""Order of time stamps."""

from __future__ import annotations

from robot_perception.core.transforms import NANOSECONDS_PER_SECOND

_MAX_DISORDER_NS = NANOSECONDS_PER_SECOND // 2


def is_restart(stamp_ns: int, newest_ns: int) -> bool:
    """Return whether a stamp begins a new recording, as when a bag loops.

    Drivers and networks deliver neighboring messages in the wrong order, so that stamps step back
    by up to half a second within one recording.

    Args:
        stamp_ns: stamp of a message, nanoseconds.
        newest_ns: the newest stamp of the messages before it, nanoseconds.

    >>> is_restart(9_500_000_000, newest_ns=10_000_000_000)
    False
    >>> is_restart(9_499_999_999, newest_ns=10_000_000_000)
    True
    """
    return stamp_ns < newest_ns - _MAX_DISORDER_NS
