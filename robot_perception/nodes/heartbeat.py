"""Shows another process that the Python threads of this one run; see `gil_watch`."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
import faulthandler
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading

_PROGRAM = Path(__file__).with_name('gil_watch.py')
_PERIOD_S = 0.25
_STDERR = 2


class Heartbeat:
    """Starts a process that kills this one when no Python thread runs any more.

    That process ends with this one, however this one ends. It takes 10 MB, of which 4 are its own.
    """

    def __init__(self) -> None:
        """Start the process and a thread that sends heartbeats; call in the main thread."""
        # The end for reading stays open here too: a signal must not find a broken pipe.
        self._read_end, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        self._ends = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a file of this package
                [sys.executable, '-I', '-S', str(_PROGRAM), str(os.getpid())],
                stdin=self._read_end,
                stdout=subprocess.DEVNULL,
            )
        except OSError as error:
            print(f'perception: hangs of native code go unnoticed: {error}', file=sys.stderr)
            return
        # Python writes the numbers of signals there at once, even if no handler can run.
        signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        faulthandler.register(signal.SIGUSR1, file=_STDERR)
        threading.Thread(target=self._beat, name='heartbeat', daemon=True).start()

    def show_stages(self, names: Collection[str]) -> None:
        """Send the names of the stages that run from now on, which takes some microseconds."""
        self._send('stages', *names)

    def end(self) -> None:
        """End the other process: the time that Python takes to end is not limited."""
        self._ends.set()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _beat(self) -> None:
        self._send('thread', str(threading.get_native_id()))
        while not self._ends.wait(_PERIOD_S):
            self._send('runs')

    def _send(self, *words: str) -> None:
        # Full if the other process is stopped.
        with suppress(BlockingIOError):
            os.write(self._pipe, f'{" ".join(words)}\n'.encode('ascii'))
