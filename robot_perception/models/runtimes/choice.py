"""Choice of the runtime and the precision of a stage."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

import torch

from robot_perception.core import ConfigError
from robot_perception.models.device import DeviceSpec
from robot_perception.models.runtimes import RuntimeRow, RUNTIMES, TORCH


class Backend(NamedTuple):
    """A runtime, ``'torch'`` or one of `RUNTIMES`, and its precision."""

    runtime: str
    precision: str

    def __str__(self) -> str:
        """Name both."""
        return f'{self.runtime} {self.precision}'


class Choice(NamedTuple):
    """Backends of a stage.

    Attributes:
        backends: the fastest of the first ``timed`` that computes the same as torch in fp32 is
            used; where none does, the next one that does. The last one is torch, and not compared.
        timed: how many are timed.
        problem: why the requested runtime is none of them; empty if it is.
    """

    backends: tuple[Backend, ...]
    timed: int
    problem: str = ''


def choose_backends(
    runtime: str, placement: DeviceSpec, *, is_precision_given: bool, gains_by_bf16: bool
) -> Choice:
    """Return the backends of a stage.

    Args:
        runtime: ``'auto'``, ``'torch'`` or one of `RUNTIMES`.
        placement: device and precision of torch.
        is_precision_given: whether the user chose this precision.
        gains_by_bf16: whether the networks may be computed in bf16, which is tried where the
            processor has instructions for it and no precision was given.

    Raises:
        ConfigError: there is no such runtime, or it does not compute on this device.
    """
    known = ('auto', TORCH, *RUNTIMES)
    if runtime not in known:
        raise ConfigError(
            'unknown_choice', f'runtime: expected {", ".join(known)}; got {runtime!r}. Use auto.'
        )
    last = Backend(TORCH, placement.precision)
    device = placement.device.type
    precisions = [placement.precision]
    if device == 'cpu' and not is_precision_given and gains_by_bf16 and has_bf16_instructions():
        precisions.insert(0, 'bf16')
    if runtime in RUNTIMES:
        return _choose_given(runtime, placement, precisions, last)
    found = [Backend(TORCH, one) for one in precisions]
    if runtime == 'auto' and device == 'cpu':
        found[:0] = [
            Backend(name, one)
            for name, row in RUNTIMES.items()
            for one in precisions
            if one in row.precisions[device] and not _missing(row)
        ]
    return Choice(tuple(found), len(found))


def _choose_given(
    runtime: str, placement: DeviceSpec, precisions: list[str], last: Backend
) -> Choice:
    row = RUNTIMES[runtime]
    offered = row.precisions.get(placement.device.type)
    if offered is None:
        raise ConfigError(
            'unknown_choice',
            f'runtime: expected auto or torch on {placement.device}, got {runtime!r}, which '
            f'computes on {" or ".join(row.precisions)}. Use auto, or device cpu.',
        )
    missing = _missing(row)
    if missing:
        problem = (
            f'{missing[0]} is not installed; install it with pip install '
            f'"robot_perception[{row.extra}]"'
        )
        return Choice((last,), 1, problem)
    if placement.precision not in offered:
        problem = f'{runtime} has no {placement.precision}; use precision {" or ".join(offered)}'
        return Choice((last,), 1, problem)
    timed = [one for one in precisions if one in offered]
    tried = dict.fromkeys((*timed, 'fp32'))
    return Choice((*(Backend(runtime, one) for one in tried), last), len(timed))


def backends_at_hand(device: str) -> tuple[Backend, ...]:
    """Return all runtimes that are installed, in each precision they have.

    Args:
        device: type of the device, ``'cpu'`` or ``'cuda'``.
    """
    # Processors have no arithmetic in fp16.
    precisions = ('fp32', 'bf16') if device == 'cpu' else ('fp32', 'bf16', 'fp16')
    others = (
        Backend(name, one)
        for name, row in RUNTIMES.items()
        if not _missing(row)
        for one in row.precisions.get(device, ())
    )
    return (*(Backend(TORCH, one) for one in precisions), *others)


def _missing(row: RuntimeRow) -> list[str]:
    return [name for name in row.libraries if importlib.util.find_spec(name) is None]


def has_bf16_instructions() -> bool:
    """Return whether the processor multiplies bf16 matrices (AMX or AVX512-BF16)."""
    names = ('_is_amx_tile_supported', '_is_avx512_bf16_supported')
    # Private names of torch, which another version may lack.
    return any(getattr(torch.cpu, name, bool)() for name in names)
