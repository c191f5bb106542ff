"""Choice of the runtime and the precision of a stage."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

import torch

from robot_perception.core import ConfigError
from robot_perception.models.device import DeviceSpec

TORCH = 'torch'


class RuntimeRow(NamedTuple):
    """A runtime besides torch.

    Attributes:
        module: module that defines it.
        name: of its class, which is constructed with a `NamedNetwork`, a precision, and a
            `CompiledFiles`.
        library: what must be installed.
        extra: extra of this package that installs it.
        precisions: those it has.
    """

    module: str
    name: str
    library: str
    extra: str
    precisions: tuple[str, ...]


_HERE = __name__.rpartition('.')[0]
RUNTIMES: dict[str, RuntimeRow] = {
    'openvino': RuntimeRow(
        f'{_HERE}.openvino', 'OpenVinoNetwork', 'openvino', 'openvino', ('fp32', 'bf16')
    ),
}


class Backend(NamedTuple):
    """A runtime, ``'torch'`` or one of `RUNTIMES`, and its precision."""

    runtime: str
    precision: str

    def __str__(self) -> str:
        """Name both."""
        return f'{self.runtime} {self.precision}'


def choose_backends(
    runtime: str, placement: DeviceSpec, *, is_precision_given: bool, gains_by_bf16: bool
) -> tuple[tuple[Backend, ...], str]:
    """Return the backends of a stage, best first, and why the requested one is none of them.

    The last one is torch, with the precision that was given, or else fp32 on a CPU.

    Args:
        runtime: ``'auto'``, ``'torch'`` or one of `RUNTIMES`.
        placement: device and precision of torch.
        is_precision_given: whether the user chose this precision.
        gains_by_bf16: whether the networks compute faster, and right, in bf16 where the processor
            has instructions for it.

    Raises:
        ConfigError: there is no such runtime, or it does not compute on this device.
    """
    known = ('auto', TORCH, *RUNTIMES)
    if runtime not in known:
        raise ConfigError(
            'unknown_choice', f'runtime: expected {", ".join(known)}; got {runtime!r}. Use auto.'
        )
    last = Backend(TORCH, placement.precision)
    if placement.device.type != 'cpu':
        if runtime not in RUNTIMES:
            return (last,), ''
        raise ConfigError(
            'unknown_choice',
            f'runtime: expected auto or torch on {placement.device}, got {runtime!r}, which '
            'computes on the CPU. Use auto, or device cpu.',
        )
    precisions = [placement.precision]
    if not is_precision_given and gains_by_bf16 and has_bf16_instructions():
        precisions.insert(0, 'bf16')
    for name, row in RUNTIMES.items():
        if runtime in {name, 'auto'}:
            problem = _problem(name, row, placement.precision)
            if not problem:
                tried = dict.fromkeys((*precisions, 'fp32'))
                return (*(Backend(name, one) for one in tried), last), ''
            if runtime == name:
                return (last,), problem
    return (last,), ''


def _problem(name: str, row: RuntimeRow, precision: str) -> str:
    if importlib.util.find_spec(row.library) is None:
        return (
            f'{row.library} is not installed; install it with pip install '
            f'"robot_perception[{row.extra}]"'
        )
    if precision not in row.precisions:
        return f'{name} has no {precision}; use precision {" or ".join(row.precisions)}'
    return ''


def has_bf16_instructions() -> bool:
    """Return whether the processor multiplies bf16 matrices (AMX or AVX512-BF16)."""
    names = ('_is_amx_tile_supported', '_is_avx512_bf16_supported')
    # Private names of torch, which another version may lack.
    return any(getattr(torch.cpu, name, bool)() for name in names)
