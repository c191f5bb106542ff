"""Whether a network fits into memory, before its weights are read."""

from __future__ import annotations

from collections.abc import Iterator
import json
import math
from pathlib import Path

import torch

from robot_perception.core import ModelError, WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.device import DeviceSpec

_MIB = 2**20
_HEADER_BYTES = 8
_MAX_HEADER_BYTES = 10**8
# What a network needs beside its parameters: activations, caches and libraries.
_EXTRA_BYTES = 256 * _MIB
_CGROUP = Path('/sys/fs/cgroup')
_MEMORY = Path('/proc/meminfo')


def check_memory(checkpoint: Checkpoint, placement: DeviceSpec) -> None:
    """Raise unless the memory suffices for the weights as they are read, and for the network.

    Raises:
        ModelError: ``'too_large'``.
        WeightsInvalidError: the header of a file of weights is damaged.
    """
    parameters = sum(map(_count_parameters, checkpoint.weight_files))
    network = parameters * placement.dtype.itemsize + _EXTRA_BYTES
    weights = sum(file.stat().st_size for file in checkpoint.weight_files)
    needed = {'memory': network + weights}
    available = {'memory': available_bytes()}
    if placement.device.type == 'cuda':
        name = f'memory of {placement.device}'
        needed[name] = network
        available[name] = torch.cuda.mem_get_info(placement.device)[0]
    for name, count in needed.items():
        if count > available[name]:
            raise ModelError(
                'too_large',
                f'{checkpoint.task}.model: {checkpoint.name} needs {count // _MIB} MiB of {name} '
                f'to be loaded in {placement.precision}, of which {available[name] // _MIB} MiB '
                'are free. Use a smaller model, precision bf16, or a machine with more memory.',
            )


def available_bytes() -> int:
    """Return the memory that this process can still use, in bytes, swap excluded.

    It is the smaller of what the machine has and what the cgroup of a container allows.
    """
    return min((_machine_bytes(), *_cgroup_bytes()))


def _machine_bytes() -> int:
    for line in _MEMORY.read_text(encoding='ascii').splitlines():
        name, _, value = line.partition(':')
        if name == 'MemAvailable':
            return int(value.split()[0]) * 1024
    raise AssertionError('Linux has it since version 3.14')


def _cgroup_bytes() -> Iterator[int]:
    try:
        limit = (_CGROUP / 'memory.max').read_text(encoding='ascii').strip()
        used = int((_CGROUP / 'memory.current').read_text(encoding='ascii'))
        fields = (_CGROUP / 'memory.stat').read_text(encoding='ascii').split()
    except (OSError, ValueError):
        return
    if limit.isdigit():
        # Pages of files are dropped when memory is needed.
        cached = dict(zip(fields[::2], map(int, fields[1::2]), strict=True))['inactive_file']
        yield int(limit) - used + cached


def _count_parameters(file: Path) -> int:
    """Return the number of values in a file of safetensors, read from its header."""
    try:
        with file.open('rb') as stream:
            length = int.from_bytes(stream.read(_HEADER_BYTES), 'little')
            header = json.loads(stream.read(min(length, _MAX_HEADER_BYTES)))
        shapes = [entry['shape'] for name, entry in header.items() if name != '__metadata__']
        return sum(map(math.prod, shapes))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsInvalidError(
            'damaged',
            f'{file}: cannot be read as safetensors ({error}). It is damaged or truncated; copy '
            'or pull it again.',
        ) from None
