"""Runtime of OpenVINO on a CPU."""

from __future__ import annotations

import functools
import io
import logging
import sys
import time
from typing import Any
import warnings

import torch

from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.runtimes.cache import CompiledFiles
from robot_perception.models.runtimes.compiling import compiling
from robot_perception.models.runtimes.interfaces import fixed_shapes, Shapes, UnusableRuntimeError

_LOG = logging.getLogger(__name__)
_PRECISIONS = {'fp32': 'f32', 'bf16': 'bf16'}
# Networks are compiled for fixed shapes of inputs. Further ones are computed with torch.
_MAX_SHAPES = 4


class OpenVinoNetwork:
    """Computes a network with OpenVINO, which compiles it at the first call of each shape."""

    def __init__(self, network: NamedNetwork, precision: str, files: CompiledFiles) -> None:
        """Prepare a network that was not sped up for torch.

        Raises:
            UnusableRuntimeError: OpenVINO cannot be imported.
        """
        self._network = network
        # Networks that need fp32 in parts are not computed in bf16.
        self._precision = precision if network.in_half else 'fp32'
        self._files = files
        self._compiled: dict[Shapes, Any] = {}
        _core()

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs.

        Raises:
            UnusableRuntimeError: OpenVINO cannot convert, compile or compute the network.
        """
        shapes = fixed_shapes(self._network, inputs)
        if shapes not in self._compiled:
            if len(self._compiled) >= _MAX_SHAPES:
                return self._network.call(*inputs)
            self._compiled[shapes] = self._compile(inputs)
        compiled = self._compiled[shapes]
        try:
            found = compiled([one.detach().contiguous().numpy() for one in inputs])
            return tuple(torch.from_numpy(found[output]) for output in compiled.outputs)
        except Exception as error:
            raise _unusable('compute', error) from error

    def _compile(self, inputs: Tensors) -> Any:  # noqa: ANN401 - OpenVINO is optional
        with compiling():
            key = fixed_shapes(self._network, inputs)
            content = self._files.read(key, 'blob')
            if content is not None:
                try:
                    return _core().import_model(io.BytesIO(content), 'CPU', self._settings())
                except Exception as error:  # noqa: BLE001 - it is compiled again
                    _LOG.warning('a compiled network cannot be read again: %s', error)
            begin_s = time.monotonic()
            _LOG.warning(
                'compiling the network %s for OpenVINO, once for inputs of %s',
                self._network.name,
                ', '.join('x'.join(map(str, shape)) for shape in key),
            )
            try:
                compiled = _core().compile_model(
                    _convert(self._network, inputs), 'CPU', self._settings()
                )
                self._files.write(key, 'blob', compiled.export_model().getvalue())
            except Exception as error:
                raise _unusable('convert', error) from error
            _LOG.warning('compiled in %.0f s', time.monotonic() - begin_s)
            return compiled

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
    try:
        import openvino  # noqa: PLC0415 - optional

        return openvino.Core()
    except Exception as error:
        raise _unusable('start', error) from error


def _convert(network: NamedNetwork, inputs: Tensors) -> Any:  # noqa: ANN401 - OpenVINO is optional
    """Convert a network for inputs of these shapes, but for an axis of any length.

    OpenVINO reads the exported encoder of SAM 2 wrongly (errors as large as the values) and the
    traced one right. Tracing fixes all lengths, so networks with a varying one are exported.
    """
    import openvino  # noqa: PLC0415 - optional

    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.network

        def forward(self, *given: torch.Tensor) -> Tensors:
            return network.call(*given)

    module = Wrapped().eval()
    # Inference tensors can be neither traced nor exported.
    with torch.inference_mode(mode=False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        example = tuple(one.clone() for one in inputs)
        if network.varying is None:
            shapes = [tuple(one.shape) for one in example]
            return openvino.convert_model(module, example_input=example, input=shapes)
        varying, axis = network.varying
        dynamic: list[dict[int, Any]] = [{} for _ in example]
        dynamic[varying][axis] = torch.export.Dim.DYNAMIC
        if example[varying].shape[axis] == 1:
            # A length of one would be taken as fixed.
            repeated = [*example]
            repeated[varying] = torch.cat([example[varying]] * 2, dim=axis)
            example = tuple(repeated)
        exported = torch.export.export(
            module, example, strict=False, dynamic_shapes=(tuple(dynamic),)
        )
        return openvino.convert_model(exported)


def _unusable(what: str, error: Exception) -> UnusableRuntimeError:
    reason = ' '.join(str(error).split())[:300]
    return UnusableRuntimeError(f'OpenVINO cannot {what} it ({type(error).__name__}: {reason})')
