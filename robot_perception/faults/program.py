"""A process that runs the node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile

from robot_perception.core import ProcessUse, read_use
from robot_perception.pipeline import Value

_STOP_LIMIT_S = 15.0


class Program:
    """Runs a module with ROS arguments in a process, again and again if wanted.

    Attributes:
        process: the last process.
    """

    def __init__(
        self,
        module: str,
        ros_args: Sequence[str],
        parameters: Mapping[str, Value],
        environment: Mapping[str, str],
    ) -> None:
        """Start it with ROS arguments, ROS parameters and further environment variables."""
        self._folder = tempfile.TemporaryDirectory(prefix='robot_perception_faults_')
        self._module = module
        self._ros_args = list(ros_args)
        self._parameters = dict(parameters)
        self._environment = {**os.environ, 'OMP_NUM_THREADS': '1', **environment}
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process of the node, also after it has ended."""
        values = (
            word
            for name, value in self._parameters.items()
            for word in ('-p', f'{name}:={_yaml(value)}')
        )
        with self.log_file.open('ab') as log:
            self.process = subprocess.Popen(  # noqa: S603 - a module of this package
                [sys.executable, '-m', self._module, *self._ros_args, *values],
                cwd=self._folder.name,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.process

    @property
    def log_file(self) -> Path:
        """What the node writes to its terminal."""
        return Path(self._folder.name) / 'node.log'

    def log(self) -> str:
        """Return what the node wrote to its terminal."""
        return self.log_file.read_text(encoding='utf-8', errors='replace')

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def use(self) -> ProcessUse:
        """Return what the process uses."""
        return read_use(self.process.pid)

    def stop(self, number: int = signal.SIGTERM, limit_s: float = _STOP_LIMIT_S) -> int | None:
        """Send a signal and wait; return the exit code, None (after SIGKILL) if it was late."""
        self.process.send_signal(number)
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def close(self) -> None:
        """End the process if it runs, and remove its files."""
        if self.is_alive:
            self.stop()
        self._folder.cleanup()


def _yaml(value: Value) -> str:
    """Write a value of a parameter as ROS arguments take it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else repr(value)
