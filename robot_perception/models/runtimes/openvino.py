"""Runtime of OpenVINO on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import functools
import io
import logging
import sys
from typing import Any
import warnings

import torch

from robot_perception.models.device import DeviceSpec
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.runtimes.cache import CompiledFiles
from robot_perception.models.runtimes.compiled import (
    CompiledNetwork,
    Computation,
    NetworkModule,
    with_two,
)

_PRECISIONS = {'fp32': 'f32', 'bf16': 'bf16'}


class OpenVinoNetwork(CompiledNetwork):
    """Computes a network with OpenVINO."""

    title = 'OpenVINO'

    def __init__(
        self,
        network: NamedNetwork,
        placement: DeviceSpec,
        files: CompiledFiles,
        max_shapes: int,
    ) -> None:
        """Prepare a network; arguments as of `CompiledNetwork`.

        Raises:
            UnusableRuntimeError: OpenVINO cannot be imported.
        """
        super().__init__(network, placement, files, max_shapes)
        # Networks that need fp32 in parts are not computed in bf16.
        self._precision = placement.precision if network.in_half else 'fp32'
        try:
            _core()
        except Exception as error:
            raise self._unusable('start for', error) from error

    def _compile(self, inputs: Tensors) -> tuple[Computation, bytes]:
        compiled = _core().compile_model(_convert(self._network, inputs), 'CPU', self._settings())
        return functools.partial(_compute, compiled), compiled.export_model().getvalue()

    def _load(self, content: bytes) -> Computation:
        compiled = _core().import_model(io.BytesIO(content), 'CPU', self._settings())
        return functools.partial(_compute, compiled)

    def _settings(self) -> dict[str, Any]:
        """Return settings; defaults would be another precision, and pinning to the same core."""
        return {
            'INFERENCE_PRECISION_HINT': _PRECISIONS[self._precision],
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'ENABLE_CPU_PINNING': False,
        }


@functools.cache
def _core() -> Any:  # noqa: ANN401 - OpenVINO is optional
    # It would report each use over the internet. OpenVINO works without this package.
    sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
    import openvino  # noqa: PLC0415 - optional

    return openvino.Core()


def _compute(compiled: Any, inputs: Tensors) -> Tensors:  # noqa: ANN401 - OpenVINO is optional
    found = compiled([one.detach().contiguous().numpy() for one in inputs])
    return tuple(torch.from_numpy(found[output]) for output in compiled.outputs)


def _convert(network: NamedNetwork, inputs: Tensors) -> Any:  # noqa: ANN401 - OpenVINO is optional
    """Convert a network for inputs of these shapes, but for an axis of any length.

    OpenVINO reads the exported encoder of SAM 2 wrongly (errors as large as the values) and the
    traced one right. Tracing fixes all lengths, so networks with a varying one are exported.
    """
    import openvino  # noqa: PLC0415 - optional

    module = NetworkModule(network)
    with warnings.catch_warnings(), _unchanged_logging():
        warnings.simplefilter('ignore')
        if network.varying is None:
            shapes = [tuple(one.shape) for one in inputs]
            return openvino.convert_model(module, example_input=inputs, input=shapes)
        example = with_two(inputs, network.varying)
        index, axis = network.varying
        dynamic: list[dict[int, Any]] = [{} for _ in example]
        dynamic[index][axis] = torch.export.Dim.DYNAMIC
        exported = torch.export.export(
            module, example, strict=False, dynamic_shapes=(tuple(dynamic),)
        )
        return openvino.convert_model(exported)


@contextmanager
def _unchanged_logging() -> Iterator[None]:
    """Restore the root logger, which OpenVINO leaves without warnings where it cannot convert."""
    root = logging.getLogger()
    level, filters, handlers = root.level, [*root.filters], [*root.handlers]
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers
