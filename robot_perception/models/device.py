"""Where networks run and in what arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
import re

import torch

from robot_perception.core import ConfigError, DeviceUnavailableError

_DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device and the precision used on it.

    Attributes:
        device: always with an index when it is a GPU, so that two spellings share an upload.
        precision: ``'fp32'``, ``'bf16'`` or ``'fp16'``. Below fp32, weights stay fp32 and torch
            casts where it is safe (autocast): bf16 keeps the range of fp32 and about 2 to 3
            decimal digits, fp16 keeps 3 to 4 digits up to 65504.

    """

    device: torch.device
    precision: str

    def autocast(self) -> torch.autocast:
        """Return the context in which networks run."""
        dtype = _DTYPES[self.precision]
        return torch.autocast(
            self.device.type,
            dtype=None if dtype is torch.float32 else dtype,
            enabled=dtype is not torch.float32,
        )


def choose_device(device: str, precision: str) -> DeviceSpec:
    """Choose where to run.

    Args:
        device: ``'auto'`` (the first GPU, or the CPU where there is none), ``'cpu'``, ``'cuda'``
            or ``'cuda:N'``.
        precision: ``'auto'`` (fp32 on a CPU, fp16 on a GPU), ``'fp32'``, ``'bf16'``, ``'fp16'``.

    Raises:
        ConfigError: another word.
        DeviceUnavailableError: no such GPU here.

    """
    chosen = _device(device)
    if precision == 'auto':
        precision = 'fp16' if chosen.type == 'cuda' else 'fp32'
    if precision not in _DTYPES:
        raise ConfigError(
            f'precision: expected auto, {", ".join(_DTYPES)}; got {precision!r}. Use auto.'
        )
    return DeviceSpec(chosen, precision)


def _device(name: str) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == 'cpu' or (name == 'auto' and not count):
        return torch.device('cpu')
    match = re.fullmatch(r'auto|cuda(?::(\d+))?', name)
    if match is None:
        raise ConfigError(f'device: expected auto, cpu, cuda or cuda:N; got {name!r}. Use auto.')
    index = int(match[1] or 0)
    if index >= count:
        here = ', '.join(['cpu', *(f'cuda:{number}' for number in range(count))])
        build = '' if torch.version.cuda else f' torch {torch.__version__} is built without CUDA.'
        raise DeviceUnavailableError(
            f'device: expected one that is on this machine, got {name!r}. Here: {here}.{build} '
            'Use auto.'
        )
    return torch.device('cuda', index)


def limit_cpu_threads(count: int) -> None:
    """Let every network of this process use at most ``count`` threads of the CPU, at least 1.

    torch waits for all its threads at every layer. Where other programs keep the cores busy,
    small networks are many times slower with one thread for each core than with one in all.
    """
    torch.set_num_threads(count)
