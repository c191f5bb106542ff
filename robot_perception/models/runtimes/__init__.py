"""Runtimes: who computes a named network, on which device and in which precision.

A runtime besides torch is a file with a class, and a row of `RUNTIMES`.
"""

from __future__ import annotations

from typing import NamedTuple


class RuntimeRow(NamedTuple):
    """A runtime besides torch.

    Attributes:
        module: module that defines it.
        name: of its class, which is constructed with a `NamedNetwork`, a `DeviceSpec`, a
            `CompiledFiles` and the number of shapes of inputs that it may prepare.
        libraries: what must be installed; their versions are part of the key of compiled files.
        extra: extra of this package that installs it.
        precisions: those it has, by type of device.
    """

    module: str
    name: str
    libraries: tuple[str, ...]
    extra: str
    precisions: dict[str, tuple[str, ...]]


_HERE = __name__
RUNTIMES: dict[str, RuntimeRow] = {
    'openvino': RuntimeRow(
        f'{_HERE}.openvino',
        'OpenVinoNetwork',
        ('openvino',),
        'openvino',
        {'cpu': ('fp32', 'bf16')},
    ),
    'onnxruntime': RuntimeRow(
        f'{_HERE}.onnxruntime',
        'OnnxNetwork',
        ('onnxruntime', 'onnx'),
        'onnx',
        {'cpu': ('fp32',), 'cuda': ('fp32', 'fp16')},
    ),
}

TORCH = 'torch'
RUNTIME_CHOICES = ('auto', TORCH, *RUNTIMES)
"""Values of the parameter ``runtime``."""
