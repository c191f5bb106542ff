"""Native code that holds the GIL: the process that notices it, and ends the node."""

from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

import pytest

from robot_perception.nodes.gil_watch import GilWatch, TICK_S

END_S = 60
# A process that shows stages, then waits or sleeps in native code that holds the GIL.
PROGRAM = """
import ctypes, os, signal, sys, threading, time
from robot_perception.nodes.heartbeat import Heartbeat
signal.signal(signal.SIGTERM, lambda *_: None)
heartbeat = Heartbeat()
children = f'/proc/{os.getpid()}/task/{os.getpid()}/children'
print(open(children).read().split()[-1], flush=True)
for _ in range(2):
    heartbeat.show_stages(['depth'])
    time.sleep(0.2)
    heartbeat.show_stages([])
    time.sleep(0.2)
heartbeat.show_stages(['depth'])
print('begins', flush=True)
if sys.argv[1] == 'hold':
    # On another thread, where no signal ends it.
    threading.Thread(target=ctypes.PyDLL(None).sleep, args=(100,), daemon=True).start()
time.sleep(float(sys.argv[2]))
heartbeat.end()
"""


@pytest.fixture
def sleeping():
    """Return the process and the thread of a process that sleeps."""
    with subprocess.Popen(['sleep', '100']) as process:
        wait_for_state(process.pid, 'S')
        yield process
        process.kill()


def wait_for_state(pid, state):
    end = time.monotonic() + END_S
    while read_state(pid) != state:
        assert time.monotonic() < end
        time.sleep(0.01)


def read_state(pid):
    """Return the state of a process, or '' if it has ended."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text(encoding='ascii')
    except OSError:
        return ''
    state = stat.rpartition(')')[2].split()[0]
    return '' if state == 'Z' else state


def make_watch(process, *stages):
    """Return a watch of a silent process, after the named groups of stages, a tick for each."""
    watch = GilWatch(process.pid)
    watch.tick(f'thread {process.pid}\n'.encode())
    for names in stages:
        watch.tick(f'stages {names}\n'.encode() if names else b'stages\n')
    return watch


def ticks_until_reason(watch, limit_s=300):
    """Return the seconds of silence until there is a reason to end the process, and the reason."""
    for number in range(int(limit_s / TICK_S)):
        reason = watch.tick(b'')
        if reason:
            return number * TICK_S, reason
    return None, ''


@pytest.mark.parametrize(
    ('stages', 'limit_s', 'where'),
    [
        ((), 120, 'outside of the stages'),
        (('depth',), 60, 'in depth'),
        (('depth', '', 'depth'), 5, 'in depth'),
        (('depth', '', 'depth', 'depth', 'depth', '', 'depth'), 15, 'in depth'),
        (('depth', '', *('depth',) * 20, '', 'depth'), 60, 'in depth'),
        (('depth', '', 'depth features'), 60, 'in depth and features'),
        (('depth features', 'depth', '', 'depth features'), 5, 'in depth and features'),
        (('depth', '', 'depth', ''), 120, 'outside of the stages'),
    ],
    ids=['start', 'first', 'second', 'slow', 'slower', 'mixed', 'both', 'idle'],
)
def test_silence_has_the_limit_of_the_stages(sleeping, stages, limit_s, where):
    seconds, reason = ticks_until_reason(make_watch(sleeping, *stages))
    assert limit_s <= seconds <= 1.1 * limit_s + 2 * TICK_S
    assert f'native code {where} does not return and does not release the GIL' in reason


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_shortens_the_limit_of_a_stage_only(sleeping, number):
    watch = make_watch(sleeping, 'depth')
    watch.tick(b'runs\n' + bytes([number]) + b'runs\n')
    seconds, reason = ticks_until_reason(watch)
    assert 2.5 <= seconds <= 4.0
    assert 'a signal has no effect' in reason
    watch = make_watch(sleeping)
    assert watch.tick(bytes([number])) == ''
    assert ticks_until_reason(watch, 100) == (None, '')


def test_any_sign_of_life_starts_again(sleeping):
    watch = make_watch(sleeping, 'depth', '', 'depth')
    for _ in range(10):
        assert ticks_until_reason(watch, 5)[0] is None
        assert watch.tick(b'runs\n') == ''


def test_a_stopped_process_is_not_silent(sleeping):
    watch = make_watch(sleeping, 'depth', '', 'depth')
    sleeping.send_signal(signal.SIGSTOP)
    wait_for_state(sleeping.pid, 'T')
    assert ticks_until_reason(watch, 1000) == (None, '')
    sleeping.send_signal(signal.SIGCONT)
    wait_for_state(sleeping.pid, 'S')
    assert ticks_until_reason(watch)[0] >= 5


def test_a_process_that_has_ended_is_not_silent(sleeping):
    watch = make_watch(sleeping, 'depth', '', 'depth')
    sleeping.kill()
    sleeping.wait()
    assert ticks_until_reason(watch) == (None, '')


class Program:
    """A process with a heartbeat; `errors` is what it writes to stderr."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, '-c', PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._timer = threading.Timer(END_S, self.process.kill)
        self._timer.start()
        self.watch_pid = int(self.process.stdout.readline())
        assert self.process.stdout.readline() == 'begins\n'

    def end(self):
        """Wait for the end of it and of its watch; return the exit code and the errors."""
        _, errors = self.process.communicate()
        self._timer.cancel()
        end = time.monotonic() + END_S
        while read_state(self.watch_pid):
            assert time.monotonic() < end
            time.sleep(0.01)
        return self.process.returncode, errors


def test_native_code_that_holds_the_gil_is_named_and_ends_the_process():
    silent, ended, stopped = Program('hold', '0'), Program('hold', '0'), Program('wait', '5')
    begin = time.monotonic()
    ended.process.terminate()
    stopped.process.send_signal(signal.SIGSTOP)
    code, errors = ended.end()
    assert code == -signal.SIGKILL
    assert 'in depth does not return and does not release the GIL, and a signal has' in errors
    code, errors = silent.end()
    assert code == -signal.SIGKILL
    assert errors.startswith('perception: no Python thread has run for ')
    # faulthandler prints where each thread is.
    assert 'File "<string>", line 17 in <module>' in errors
    time.sleep(max(begin + 8 - time.monotonic(), 0))
    stopped.process.send_signal(signal.SIGCONT)
    assert stopped.end() == (0, '')


@pytest.mark.ros
@pytest.mark.slow
def test_a_node_whose_network_holds_the_gil_ends_after_a_signal():
    pytest.importorskip('rclpy')
    from robot_perception.faults.camera import random_image
    from robot_perception.faults.faulty_process import FaultyNode

    with FaultyNode() as node:
        node.set_fault('detector block seconds=100')
        node.image.publish(random_image())
        while node.wait_for_status('lifecycle', (0,), limit_s=2.0) is not None:
            pass
        assert node.stop(limit_s=5 * 5.0) == -signal.SIGKILL
        assert 'native code in detector does not return' in node.log()
        assert 'faulty_node.py' in node.log()


def test_the_watch_ends_with_the_process_and_not_before():
    program = Program('wait', '100')
    # Ctrl-C and service managers send signals to both.
    for number in (signal.SIGINT, signal.SIGTERM):
        subprocess.run(['kill', f'-{number}', str(program.watch_pid)], check=True)
    time.sleep(1.0)
    assert read_state(program.watch_pid)
    program.process.kill()
    assert program.end() == (-signal.SIGKILL, '')
