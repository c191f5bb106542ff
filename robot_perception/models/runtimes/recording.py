"""Recording of the kernels of a call on a GPU (CUDA graphs)."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading

import torch

from robot_perception.models.device_errors import is_out_of_memory
from robot_perception.models.families.interfaces import Tensors

_LOG = logging.getLogger(__name__)
# Each shape of inputs keeps the memory of its intermediate results.
_MAX_SHAPES = 8
# Recordings of two threads at a time would mix.
_RECORDING = threading.Lock()

_Shapes = tuple[torch.Size, ...]
_Replay = Callable[..., Tensors]


class RecordedCalls:
    """Calls a function of tensors on a GPU by replaying its kernels.

    The kernels are recorded at the second call with inputs of the same shapes. Functions that
    cannot be recorded, since they exchange data with the host, are called as they are.
    """

    def __init__(self, call: Callable[..., Tensors]) -> None:
        """Wrap a function whose kernels depend on the shapes of its inputs only."""
        self._call = call
        self._replays: dict[_Shapes, _Replay] = {}
        self._called: set[_Shapes] = set()

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Return the outputs, in memory of their own."""
        shapes = tuple(one.shape for one in inputs)
        if shapes not in self._replays:
            if shapes not in self._called or len(self._replays) >= _MAX_SHAPES:
                self._called.add(shapes)
                return self._call(*inputs)
            self._replays[shapes] = self._record(inputs)
        return self._replays[shapes](*inputs)

    def _record(self, inputs: Tensors) -> _Replay:
        static = tuple(one.clone() for one in inputs)
        graph = torch.cuda.CUDAGraph()
        try:
            with _RECORDING:
                _warm_up(self._call, static)
                # Another thread may use the GPU meanwhile.
                with torch.cuda.graph(graph, capture_error_mode='thread_local'):
                    outputs = self._call(*static)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            _LOG.info('kernels are launched one by one: %s', str(error).partition('\n')[0])
            return self._call

        def replay(*inputs: torch.Tensor) -> Tensors:
            for kept, given in zip(static, inputs, strict=True):
                kept.copy_(given)
            graph.replay()
            return tuple(output.clone() for output in outputs)

        return replay


def _warm_up(call: Callable[..., Tensors], inputs: Tensors) -> None:
    """Let libraries allocate what they need, which must not be recorded."""
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(current)
    with torch.cuda.stream(side):
        call(*inputs)
    current.wait_stream(side)
