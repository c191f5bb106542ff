"""Runtime of ONNX Runtime: tried on a CPU; its providers of NVIDIA GPUs are untried."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
import io
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

_OPSET = 18
Provider = str | tuple[str, dict[str, object]]


class OnnxNetwork(CompiledNetwork):
    """Computes a network with ONNX Runtime."""

    title = 'ONNX Runtime'

    def __init__(
        self,
        network: NamedNetwork,
        placement: DeviceSpec,
        files: CompiledFiles,
        max_shapes: int,
    ) -> None:
        """Prepare a network; arguments as of `CompiledNetwork`.

        Raises:
            UnusableRuntimeError: ONNX Runtime cannot be imported, or has no provider of the
                device.
        """
        super().__init__(network, placement, files, max_shapes)
        # Networks that need fp32 in parts are computed in fp32.
        precision = placement.precision if network.in_half else 'fp32'
        try:
            import onnxruntime  # noqa: PLC0415 - optional

            available = onnxruntime.get_available_providers()
            self._providers = choose_providers(DeviceSpec(placement.device, precision), available)
        except Exception as error:
            raise self._unusable('start for', error) from error

    def _compile(self, inputs: Tensors) -> tuple[Computation, bytes]:
        content = _export(self._network, inputs)
        return self._load(content), content

    def _load(self, content: bytes) -> Computation:
        return partial(_compute, start_session(content, self._providers), self._placement.device)


def start_session(network: bytes | str, providers: Sequence[Provider]) -> Any:  # noqa: ANN401
    """Return an ``InferenceSession`` of a network, or of the file of that path.

    Args:
        network: content or path of a file.
        providers: best first; those that cannot be started are left out.

    Raises:
        LookupError: it would be computed by a provider that is not among them.
        Exception: of ONNX Runtime, which cannot load the network.
    """
    import onnxruntime  # noqa: PLC0415 - optional

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait would take the cores of other programs.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 3
    for index in range(len(providers) - 1):
        # Starting TensorRT fails where its libraries are missing.
        with suppress(Exception):
            return _start(network, options, providers[index:])
    return _start(network, options, providers[-1:])


def _start(network: bytes | str, options: Any, providers: Sequence[Provider]) -> Any:  # noqa: ANN401
    import onnxruntime  # noqa: PLC0415 - optional

    # Its own fallback takes the CPU and prints that to standard output.
    session = onnxruntime.InferenceSession(
        network, options, providers=providers, enable_fallback=0
    )
    names = [one if isinstance(one, str) else one[0] for one in providers]
    used = session.get_providers()[0]
    if used not in names:
        raise LookupError(f'{" and ".join(names)} did not start; check the installation of CUDA')
    return session


def choose_providers(placement: DeviceSpec, available: Sequence[str]) -> list[Provider]:
    """Return the providers for a device and precision, best first.

    Raises:
        LookupError: none of them is available.
    """
    if placement.device.type == 'cpu':
        return ['CPUExecutionProvider']
    index = placement.device.index
    tensorrt: dict[str, object] = {
        'device_id': index,
        'trt_fp16_enable': placement.precision == 'fp16',
    }
    # TF32 would be a lower precision than the one that was chosen.
    cuda: dict[str, object] = {'device_id': index, 'use_tf32': False}
    wanted = {'TensorrtExecutionProvider': tensorrt, 'CUDAExecutionProvider': cuda}
    found: list[Provider] = [(name, wanted[name]) for name in wanted if name in available]
    if not found:
        raise LookupError(f'no provider of {placement.device}; install onnxruntime-gpu')
    return found


def _compute(session: Any, device: torch.device, inputs: Tensors) -> Tensors:  # noqa: ANN401
    arrays = [one.detach().cpu().contiguous().numpy() for one in inputs]
    names = [one.name for one in session.get_inputs()]
    found = session.run(None, dict(zip(names, arrays, strict=True)))
    return tuple(torch.from_numpy(one).to(device) for one in found)


def _export(network: NamedNetwork, inputs: Tensors) -> bytes:
    """Return a traced network as ONNX for inputs of these shapes, but for an axis of any length.

    Tracing, since `torch.export` is read wrongly by other runtimes for the encoder of SAM 2.
    """
    names = [f'input_{index}' for index in range(len(inputs))]
    axes: dict[str, dict[int, str]] = {}
    if network.varying is not None:
        index, axis = network.varying
        axes[names[index]] = {axis: 'count'}
        inputs = with_two(inputs, network.varying)
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            NetworkModule(network),
            inputs,
            # Any file, if it is traced.
            content,  # type: ignore[arg-type]
            input_names=names,
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
    return content.getvalue()
