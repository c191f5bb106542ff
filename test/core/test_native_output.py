"""Lines of native libraries: captured, throttled, and never lost without a count."""

import ctypes
import re
import threading

import pytest

from robot_perception.core import captured_output, throttled_output
from robot_perception.core.native_output import LineThrottle

LIBRARY = ctypes.CDLL(None)
LIBRARY.fputs.argtypes = (ctypes.c_char_p, ctypes.c_void_p)


def print_natively(text):
    LIBRARY.fputs(text.encode(), ctypes.c_void_p.in_dll(LIBRARY, 'stderr'))


def test_equal_lines_are_printed_once(capfd):
    for number in range(30):
        with throttled_output():
            print_natively('test: too long\n')
            print_natively(f'test: number {number}\n')
    lines = capfd.readouterr().err.splitlines()
    assert lines.count('test: too long') == 1
    assert [f'test: number {number}' for number in range(30)] == lines[1:]


def test_what_is_printed_outside_is_not_touched(capfd):
    with throttled_output():
        pass
    for _ in range(3):
        print_natively('test: as it is\n')
    assert capfd.readouterr().err == 'test: as it is\n' * 3


def test_a_thread_captures_while_another_is_throttled(capfd):
    inside, done = threading.Event(), threading.Event()

    def receive():
        with throttled_output():
            print_natively('test: bad message\n')
            inside.set()
            done.wait(5)

    thread = threading.Thread(target=receive)
    with captured_output(re.compile(b'decoder')) as lines:
        print_natively('decoder: one\n')
        thread.start()
        assert inside.wait(5)
        print_natively('decoder: two\n')
    assert lines == ['decoder: one', 'decoder: two']
    done.set()
    thread.join()
    assert capfd.readouterr().err == 'test: bad message\n'


def test_an_error_in_the_block_ends_it(capfd):
    with pytest.raises(ZeroDivisionError), throttled_output():
        print_natively('test: before the error\n'[: 1 // 0])
    print_natively('test: after it\n')
    assert capfd.readouterr().err == 'test: after it\n'


def test_the_number_left_out_is_stated():
    now_s = 100.0
    throttle = LineThrottle(lambda: now_s)
    assert [throttle.add(b'a\n') for _ in range(4)] == [b'a\n', b'', b'', b'']
    assert throttle.add(b'b\n') == b'b\n'
    assert throttle.take_overdue() == b''
    now_s += 11
    assert throttle.add(b'a\n') == b'a (left out before: 3)\n'
    assert throttle.add(b'b\n') == b'b\n'
    assert throttle.add(b'b\n') == b''
    now_s += 11
    # Those that do not come any more are counted too.
    assert throttle.take_overdue() == b'b (left out before: 1)\n'
    assert throttle.take_overdue() == b''


def test_only_some_lines_are_kept():
    throttle = LineThrottle(lambda: 0.0)
    for number in range(1000):
        assert throttle.add(b'%d\n' % number)
    assert throttle.add(b'999\n') == b''
    assert throttle.add(b'0\n') == b'0\n'
