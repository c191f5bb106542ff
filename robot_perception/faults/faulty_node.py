"""The perception node whose stub networks fail as a file demands; started by `FaultyNode`.

The file has one line and is read at every call: ``POINT FAULT [NAME=NUMBER ...]``. Points are the
stages (``features``, ``depth``, ``detector``, ``encoder``, ``segmenter``) and ``load``, the
loading of the depth network. Numbers are ``seconds`` to sleep, ``every`` (of so many calls only
the last fails) and ``times`` (after so many failures the file is emptied).
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import os
from pathlib import Path
import sys
import time
from typing import Any

from robot_perception.models import (
    StubDepthEstimator,
    StubDetector,
    StubFeatureExtractor,
    StubSegmenter,
)
from robot_perception.nodes import main as run_node

FAULT_FILE = 'ROBOT_PERCEPTION_FAULT_FILE'
# The texts are those of torch.
_ERRORS: dict[str, Callable[[], BaseException]] = {
    'raise': lambda: ValueError('injected'),
    'exit': lambda: SystemExit(3),
    'memory': MemoryError,
    'oom': lambda: RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB'),
    'sticky': lambda: RuntimeError('CUDA error: an illegal memory access was encountered'),
}
POINTS: dict[str, tuple[type[Any], str]] = {
    'features': (StubFeatureExtractor, 'extract'),
    'depth': (StubDepthEstimator, 'estimate'),
    'detector': (StubDetector, 'detect'),
    'encoder': (StubSegmenter, 'encode'),
    'segmenter': (StubSegmenter, 'segment'),
    'load': (StubDepthEstimator, '__init__'),
}


class _FaultPoint:
    """A method that fails as the file demands."""

    def __init__(self, name: str, run: Callable[..., object]) -> None:
        self._name = name
        self._run = run
        self._line = ''
        self._calls = self._failures = 0

    def __call__(self, *arguments: object, **named: object) -> object:
        """Fail or run."""
        line = Path(os.environ[FAULT_FILE]).read_text(encoding='utf-8')
        if line != self._line:
            self._line, self._calls, self._failures = line, 0, 0
        point, _, fault = line.partition(' ')
        if point == self._name:
            self._fail(*fault.split())
        return self._run(*arguments, **named)

    def _fail(self, fault: str, *options: str) -> None:
        numbers = dict(option.split('=') for option in options)
        self._calls += 1
        if self._calls % int(numbers.get('every', 1)):
            return
        self._failures += 1
        if self._failures >= float(numbers.get('times', 'inf')):
            Path(os.environ[FAULT_FILE]).write_text('', encoding='utf-8')
        if fault in _ERRORS:
            error = _ERRORS[fault]()
            raise error
        if fault == 'block':
            # PyDLL, other than CDLL, does not release the GIL.
            ctypes.PyDLL(None).sleep(int(numbers['seconds']))
        else:
            time.sleep(float(numbers['seconds']))


def _inject(name: str, owner: type[Any], method: str) -> None:
    point = _FaultPoint(name, getattr(owner, method))

    def failing(*arguments: object, **named: object) -> object:
        return point(*arguments, **named)

    setattr(owner, method, failing)


def main() -> int:
    """Run the node; returns its exit code."""
    for point, (owner, method) in POINTS.items():
        _inject(point, owner, method)
    return run_node()


if __name__ == '__main__':
    sys.exit(main())
