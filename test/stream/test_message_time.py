"""Stamps that can be used, and the time of messages without one."""

import pytest

from robot_perception.stream.message_time import StampSequence

MS = 1_000_000
# A driver that stamps by the time since boot, received by the time of day.
BOOT_NS, DAY_NS = 50 * 10**9, 1_700_000_000 * 10**9


def times(stamps_ms, received_ms=None):
    """Return the times of messages that arrive 100 ms apart; stamp None is zero."""
    sequence = StampSequence()
    received_ms = received_ms or [100 * index for index in range(len(stamps_ms))]
    return [
        sequence.add(0 if stamp is None else BOOT_NS + stamp * MS, DAY_NS + received * MS)
        for stamp, received in zip(stamps_ms, received_ms, strict=True)
    ]


@pytest.mark.parametrize(
    'stamps_ms',
    [
        (0, 100, 200),
        # Out of order.
        (0, 200, 100, 300),
        (0, 500, 1, 501),
        # Loops.
        (0, 1000, 2000, 0, 1000, 2000),
    ],
)
def test_stamps_that_differ_are_used_in_any_order(stamps_ms):
    for time, stamp in zip(times(stamps_ms), stamps_ms, strict=True):
        assert (time.fault, time.taken_ns) == ('', BOOT_NS + stamp * MS)
        assert time.sequence_ns == time.stamp_ns


@pytest.mark.parametrize(
    ('stamps_ms', 'repeated'),
    [
        ((7, 7, 7, 7), (1, 2, 3)),
        ((0, 100, 100, 200), (2,)),
        # Two buffers that are sent in turn, and a recording of 0.2 s that loops.
        ((0, 100, 0, 100, 0), (2, 3, 4)),
        ((0, 100, 200, 0, 100, 200), (3, 4, 5)),
        # Stamps of whole half seconds.
        ((0, 0, 0, 500, 500, 500), (1, 2, 4, 5)),
    ],
)
def test_a_repeated_stamp_is_replaced_by_the_time_of_receipt(stamps_ms, repeated):
    for index, time in enumerate(times(stamps_ms)):
        assert time.fault == ('repeated_stamp' if index in repeated else '')
        assert time.stamp_ns == BOOT_NS + stamps_ms[index] * MS
        if index in repeated:
            assert time.taken_ns == DAY_NS + 100 * index * MS


def test_zero_is_no_stamp():
    assert [time.fault for time in times((None, None))] == ['zero_stamp'] * 2
    assert [time.sequence_ns - DAY_NS for time in times((None, None))] == [0, 100 * MS]


def test_the_time_advances_by_the_receipts_where_stamps_cannot_be_used():
    stamps_ms = (0, 100, 100, None, 400, None, None)
    relative_ms = [(time.sequence_ns - BOOT_NS) // MS for time in times(stamps_ms)]
    assert relative_ms == [0, 100, 200, 300, 400, 500, 600]


def test_receipts_that_step_back_do_not_turn_time_back():
    assert [time.sequence_ns for time in times((7, 7, 7), (200, 100, 150))] == [
        BOOT_NS + 7 * MS,
        BOOT_NS + 7 * MS,
        BOOT_NS + 57 * MS,
    ]
