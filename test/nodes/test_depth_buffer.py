"""Which depth an image gets, and how long it waits for it."""

import threading
import time
from types import SimpleNamespace

from hypothesis import given, strategies
import pytest
from robot_perception.nodes.depth_buffer import DepthBuffer

MS = 1_000_000
TIMEOUT_S = 20.0
STAMPS = strategies.integers(0, 10**12)


def depth_at(stamp_ns):
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), stamp_ns=stamp_ns)


def filled(*stamps_ns):
    buffer = DepthBuffer()
    for stamp_ns in stamps_ns:
        buffer.put(depth_at(stamp_ns))
    return buffer


def stamp_of(message):
    return None if message is None else message.stamp_ns


@pytest.mark.parametrize(
    ('stamps_ms', 'image_ms', 'max_offset_s', 'expected_ms'),
    [
        ([], 100, 1.0, None),
        ([100], 100, 0.0, 100),
        ([90, 110], 104, 1.0, 110),
        ([90, 110], 96, 1.0, 90),
        ([110, 90, 100], 99, 1.0, 100),
        # The largest difference is still allowed.
        ([120], 100, 0.02, 120),
        ([80], 100, 0.02, 80),
        ([121], 100, 0.02, None),
        ([79], 100, 0.02, None),
        ([999_990], 1_000_001, 0.02, 999_990),
    ],
)
def test_the_nearest_within_the_limit(stamps_ms, image_ms, max_offset_s, expected_ms):
    buffer = filled(*(stamp * MS for stamp in stamps_ms))
    got = buffer.nearest(image_ms * MS, max_offset_s, 0.0)
    assert stamp_of(got) == (None if expected_ms is None else expected_ms * MS)


@given(stamps=strategies.lists(STAMPS, max_size=20), image_ns=STAMPS)
def test_of_the_last_eight(stamps, image_ns):
    got = filled(*stamps).nearest(image_ns, 10**6, 0.0)
    jumps = [place for place in range(1, len(stamps)) if stamps[place] < stamps[place - 1]]
    kept = stamps[max(jumps, default=0) :][-8:]
    if not kept:
        assert got is None
    else:
        assert abs(got.stamp_ns - image_ns) == min(abs(one - image_ns) for one in kept)


def test_clear_forgets():
    buffer = filled(100 * MS)
    buffer.clear()
    assert buffer.nearest(100 * MS, 1.0, 0.0) is None


def ask(buffer, *arguments):
    """Ask in a thread of its own; gives the thread and where the answer will be."""
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(buffer.nearest(*arguments)), daemon=True
    )
    thread.start()
    return thread, answers


def test_an_image_waits_for_a_depth_on_its_way():
    buffer = filled(60 * MS)
    thread, answers = ask(buffer, 100 * MS, 0.02, TIMEOUT_S)
    # An older one may still be followed by the right one.
    buffer.put(depth_at(90 * MS))
    thread.join(0.05)
    assert thread.is_alive()
    buffer.put(depth_at(101 * MS))
    thread.join(TIMEOUT_S)
    assert [stamp_of(one) for one in answers] == [101 * MS]


def test_a_later_depth_ends_the_wait_even_if_it_is_too_late():
    buffer = DepthBuffer()
    thread, answers = ask(buffer, 100 * MS, 0.02, TIMEOUT_S)
    buffer.put(depth_at(200 * MS))
    thread.join(TIMEOUT_S)
    assert answers == [None]


def test_the_wait_ends_by_itself_and_takes_what_there_is():
    buffer = filled(90 * MS)
    begin = time.monotonic()
    assert stamp_of(buffer.nearest(100 * MS, 0.02, 0.05)) == 90 * MS
    assert time.monotonic() - begin >= 0.05


def test_nobody_waits_when_it_is_there():
    buffer = filled(100 * MS)
    thread, answers = ask(buffer, 100 * MS, 0.02, 10 * TIMEOUT_S)
    thread.join(TIMEOUT_S)
    assert [stamp_of(one) for one in answers] == [100 * MS]


def test_clear_while_somebody_waits():
    buffer = filled(60 * MS)
    thread, answers = ask(buffer, 100 * MS, 0.02, TIMEOUT_S)
    buffer.clear()
    buffer.put(depth_at(110 * MS))
    thread.join(TIMEOUT_S)
    assert [stamp_of(one) for one in answers] == [110 * MS]
