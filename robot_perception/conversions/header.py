"""Reading, validation and building of headers."""

from __future__ import annotations

from operator import index

from robot_perception.conversions import ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import ConversionError, NANOSECONDS_PER_SECOND

_MAX_SECONDS = 2**31 - 1
_MAX_FRAME_ID = 4096


def read_header(header: ros.Header) -> tuple[int, str]:
    """Read the stamp and frame id.

    Returns:
        Nanoseconds, >= 0, and the frame id.

    Raises:
        ConversionError: reason ``'stamp'`` for a time that is invalid in ROS (negative, or
            nanoseconds outside [0, 1e9)), ``'frame_id'`` for more than 4096 characters.
    """
    try:
        seconds, nanoseconds = index(header.stamp.sec), index(header.stamp.nanosec)
    except (AttributeError, TypeError) as error:
        raise ConversionError(
            'stamp', f'stamp: expected integers sec and nanosec, got others ({error}).'
        ) from error
    if not (0 <= seconds <= _MAX_SECONDS and 0 <= nanoseconds < NANOSECONDS_PER_SECOND):
        raise ConversionError(
            'stamp',
            f'stamp: expected sec in [0, 2^31) and nanosec in [0, 1e9), got sec={seconds}, '
            f'nanosec={nanoseconds}. Fix the publisher.',
        )
    check_frame_id('frame_id', header.frame_id)
    return seconds * NANOSECONDS_PER_SECOND + nanoseconds, header.frame_id


def check_frame_id(field: str, frame_id: object) -> None:
    """Raise ConversionError, reason ``'frame_id'``, unless a string of up to 4096 characters."""
    if not isinstance(frame_id, str) or len(frame_id) > _MAX_FRAME_ID:
        raise ConversionError(
            'frame_id',
            f'{field}: expected text of at most {_MAX_FRAME_ID} characters, got '
            f'{_describe(frame_id)}. Fix the publisher.',
        )


def header_message(factory: MessageFactory, stamp_ns: int, frame_id: str) -> ros.Header:
    """Build a std_msgs/msg/Header; the inverse of `read_header`.

    Raises:
        ConversionError: reason ``'stamp'`` for a time out of the range of the message.
    """
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS_PER_SECOND)
    if not 0 <= seconds <= _MAX_SECONDS:
        raise ConversionError(
            'stamp',
            f'stamp_ns: expected 0 to 2^31 seconds, got {stamp_ns} ns. Pass ROS time.',
        )
    stamp = factory(ros.Time, sec=seconds, nanosec=nanoseconds)
    return factory(ros.Header, stamp=stamp, frame_id=frame_id)


def _describe(frame_id: object) -> str:
    return f'{len(frame_id)} of them' if isinstance(frame_id, str) else type(frame_id).__name__
