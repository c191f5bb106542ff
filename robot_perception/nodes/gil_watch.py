"""Ends a node in which native code keeps all Python threads from running; see `heartbeat`.

Python code runs only while its thread holds the GIL. Native code that never returns, and never
releases it, stops every thread of its process, the watchdog and the handlers of signals too. So
this program watches from outside. It runs as a file, with nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
import os
from pathlib import Path
import select
import signal
import sys
import time

TICK_S = 0.5
# Native code that runs for so many times the longest time of its stage does not return.
_FACTOR, _LEAST_S = 10.0, 5.0
# The first run of a stage includes compilation and the choice of algorithms.
_MOST_S = 60.0
# Without a stage the node starts, loads networks or waits.
_NO_STAGE_S = 120.0
_AFTER_SIGNAL_S = 2.5
_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_TRACEBACK_S = 0.3
_NANOSECONDS = 1e9


class GilWatch:
    """Decides from the messages of a process, once each `TICK_S`, whether it must be ended.

    Time is counted in ticks, not read from a clock: while this program does not run either, as
    when the system is suspended or its container paused, no time passes. A tick counts only if
    the silent process could run: not while a thread of it waits for a processor, and not while it
    is stopped, by SIGSTOP or a debugger.
    """

    def __init__(self, pid: int) -> None:
        """Watch a process."""
        self._pid = pid
        self._thread = ''
        self._signalled = False
        self._silent_s = 0.0
        # Of each thread, nanoseconds for which it has waited for a processor; of the last tick.
        self._waits_ns: Mapping[str, int] = {}
        # Stages under way -> seconds so far; and the longest time of those that have ended.
        self._running_s: dict[str, float] = {}
        self._longest_s: dict[str, float] = {}

    def tick(self, sent: bytes) -> str:
        """Take what was sent since the last tick; return why the process must be ended, or ''."""
        # Python writes the numbers of signals between the lines.
        self._signalled = self._signalled or bool(_SIGNALS.intersection(sent))
        lines = sent.translate(None, bytes(_SIGNALS)).decode('ascii').split('\n')[:-1]
        for line in lines:
            kind, *words = line.split(' ')
            if kind == 'thread':
                (self._thread,) = words
            elif kind == 'stages':
                self._set_stages(words)
        self._running_s = {name: s + TICK_S for name, s in self._running_s.items()}
        if lines:
            self._silent_s, self._waits_ns = 0.0, {}
            return ''
        self._silent_s += self._idle_s()
        limit_s = self._limit_s()
        if self._silent_s <= limit_s:
            return ''
        stages = ' and '.join(self._running_s)
        what = f'in {stages}' if stages else 'outside of the stages'
        after = ', and a signal has no effect' if self._signalled else ''
        return (
            f'no Python thread has run for {self._silent_s:.0f} s: native code {what} does not '
            f'return and does not release the GIL{after}. The process is killed, so that it can '
            'be started again'
        )

    def _set_stages(self, names: list[str]) -> None:
        for name in self._running_s.keys() - set(names):
            seconds = self._running_s.pop(name)
            # The first run takes longer than the others.
            is_first = name not in self._longest_s
            self._longest_s[name] = 0.0 if is_first else max(seconds, self._longest_s[name])
        self._running_s = {name: self._running_s.get(name, 0.0) for name in names}

    def _limit_s(self) -> float:
        if not self._running_s:
            return _NO_STAGE_S
        if self._signalled:
            return _AFTER_SIGNAL_S
        return max(
            min(max(_FACTOR * self._longest_s[name], _LEAST_S), _MOST_S)
            if name in self._longest_s
            else _MOST_S
            for name in self._running_s
        )

    def _idle_s(self) -> float:
        """Return the seconds of this tick in which the silent process could run and did not."""
        threads = Path(f'/proc/{self._pid}/task')
        try:
            # The name of the thread, in parentheses, may contain spaces.
            stat = (threads / self._thread / 'stat').read_text(encoding='ascii', errors='ignore')
            waits_ns = {
                one.name: int((one / 'schedstat').read_text(encoding='ascii').split()[1])
                for one in threads.iterdir()
            }
        except (OSError, IndexError, ValueError):
            # A thread has just ended, so the process runs.
            return 0.0
        before, self._waits_ns = self._waits_ns, waits_ns
        if not before or stat.rpartition(')')[2].split()[0] != 'S':
            return 0.0
        longest_ns = max(wait - before.get(name, 0) for name, wait in waits_ns.items())
        return max(TICK_S - longest_ns / _NANOSECONDS, 0.0)


def main() -> None:
    """Watch the parent until it ends; its id is the argument, and stdin comes from it."""
    for number in _SIGNALS:
        # A terminal or a service manager sends them to both; this process ends with its parent.
        signal.signal(number, signal.SIG_IGN)
    parent = int(sys.argv[1])
    stdin = sys.stdin.fileno()
    os.set_blocking(stdin, False)
    hang_up = select.poll()
    hang_up.register(stdin, 0)
    watch = GilWatch(parent)
    # The parent may have ended without closing the pipe, which a process that it forked can hold.
    while not hang_up.poll(TICK_S * 1e3) and os.getppid() == parent:
        sent = b''
        with suppress(BlockingIOError):
            while part := os.read(stdin, 65536):
                sent += part
        reason = watch.tick(sent)
        if reason:
            print(f'perception: {reason}.', file=sys.stderr, flush=True)
            # Lets faulthandler print the stacks, which needs no GIL.
            os.kill(parent, signal.SIGUSR1)
            time.sleep(_TRACEBACK_S)
            if os.getppid() == parent:
                os.kill(parent, signal.SIGKILL)
            return


if __name__ == '__main__':
    main()
