"""The command line as a user runs it: a program in a process of its own."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import threading

PROGRAM = Path(sys.executable).with_name('robot-perception')
MAIN = 'import sys; from robot_perception.cli.main import main; sys.exit(main())'
TIMEOUT_S = 120


def read_until(program, stream, words):
    """Return the output up to the line with the words, or all of it if the program ends.

    A program that leads a process group and prints nothing more for long is killed with it.
    """
    lines = []
    watchdog = threading.Timer(2 * TIMEOUT_S, os.killpg, (program.pid, signal.SIGKILL))
    watchdog.start()
    try:
        for line in stream:
            lines.append(line)
            if words in line:
                break
    finally:
        watchdog.cancel()
    return ''.join(lines)


class Command:
    """Runs the program in a folder of the test, without network access."""

    def __init__(self, folder):
        self.folder = folder
        self.program = [str(PROGRAM)] if PROGRAM.exists() else [sys.executable, '-c', MAIN]
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != 'ROS_DOMAIN_ID'},
            'HF_HOME': str(folder / 'hub'),
            'HF_HUB_OFFLINE': '1',
            'XDG_CACHE_HOME': str(folder / 'cache'),
            'OMP_NUM_THREADS': '1',
            # Wide enough that no line which tests match is wrapped.
            'COLUMNS': '200',
        }

    def start(self, *arguments, **environment):
        """Start it as the leader of a process group, as a shell does."""
        return subprocess.Popen(
            [*self.program, *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments, **environment):
        """Run to the end and return the finished process with returncode, stdout and stderr."""
        return self.end(self.start(*arguments, **environment))

    @staticmethod
    def end(program):
        """Wait for a started program to end."""
        try:
            out, errors = program.communicate(timeout=TIMEOUT_S)
        finally:
            program.kill()
        assert 'Traceback' not in errors, errors
        return subprocess.CompletedProcess(program.args, program.returncode, out, errors)
