"""The perception node whose stub networks fail as a file demands; started by `FaultyNode`.

The file has one line, ``POINT FAULT [SECONDS]``, and is read at every call. Points are the stages
(``features``, ``depth``, ``detector``, ``encoder``, ``segmenter``) and ``load``, the loading of
the depth network.
"""

from __future__ import annotations

from collections.abc import Callable
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


def _fail(point: str) -> None:
    """Fail as the file demands, if it names this point."""
    wanted, _, fault = Path(os.environ[FAULT_FILE]).read_text(encoding='utf-8').partition(' ')
    if wanted != point:
        return
    name, _, seconds = fault.partition(' ')
    if name != 'sleep':
        error = _ERRORS[name]()
        raise error
    time.sleep(float(seconds))


def _inject(point: str, owner: type[Any], method: str) -> None:
    """Let a method fail before it runs."""
    run = getattr(owner, method)

    def failing(*arguments: object, **named: object) -> object:
        _fail(point)
        return run(*arguments, **named)

    setattr(owner, method, failing)


def main() -> int:
    """Run the node; returns its exit code."""
    for point, (owner, method) in POINTS.items():
        _inject(point, owner, method)
    return run_node()


if __name__ == '__main__':
    sys.exit(main())
