"""Devices and precisions that networks run on."""

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
        device: of a GPU always with its index, so that ``cuda`` and ``cuda:0`` share an upload.
        precision: ``'fp32'``, ``'bf16'`` or ``'fp16'``. bf16 has the range of fp32 and 2 to 3
            decimal digits, fp16 has 3 to 4 digits and a maximum of 65504.
    """

    device: torch.device
    precision: str

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values in this precision."""
        return _DTYPES[self.precision]


def choose_device(device: str, precision: str) -> DeviceSpec:
    """Return the device and precision to run on; `robot_perception.models` lists the values.

    Raises:
        ConfigError: a value other than these.
        DeviceUnavailableError: this machine has no such GPU.
    """
    chosen = _device(device)
    if precision == 'auto':
        precision = 'fp16' if chosen.type == 'cuda' else 'fp32'
    if precision not in _DTYPES:
        raise ConfigError(
            'unknown_choice',
            f'precision: expected auto, {", ".join(_DTYPES)}; got {precision!r}. Use auto.',
        )
    return DeviceSpec(chosen, precision)


def check_device(device: str) -> str:
    """Return the name of the device that a value of the parameter ``device`` selects.

    Raises:
        ConfigError: no name of a device.
        DeviceUnavailableError: this machine has no such GPU.
    """
    return str(_device(device))


def _device(name: str) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == 'cpu' or (name == 'auto' and not count):
        return torch.device('cpu')
    match = re.fullmatch(r'auto|cuda(?::(\d+))?', name)
    if match is None:
        raise ConfigError(
            'unknown_choice',
            f'device: expected auto, cpu, cuda or cuda:N; got {name!r}. Use auto.',
        )
    index = int(match[1] or 0)
    if index >= count:
        available = ', '.join(['cpu', *(f'cuda:{number}' for number in range(count))])
        build = '' if torch.version.cuda else f' torch {torch.__version__} is built without CUDA.'
        raise DeviceUnavailableError(
            'missing_device',
            f'device: expected one of this machine ({available}), got {name!r}.{build} Use auto.',
        )
    return torch.device('cuda', index)


def limit_cpu_threads(count: int) -> None:
    """Limit all networks of this process to ``count`` CPU threads (parameter ``cpu_threads``).

    torch synchronizes its threads at every layer. If other programs keep the cores busy, small
    networks run many times slower with one thread per core than with a single thread.
    """
    torch.set_num_threads(count)
