"""What runtimes that compile networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
import logging
import threading
import time
from typing import ClassVar

import torch

from robot_perception.models.device import DeviceSpec
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.runtimes.cache import CompiledFiles
from robot_perception.models.runtimes.interfaces import (
    compute_in_fp32,
    fixed_shapes,
    Shapes,
    UnusableRuntimeError,
)
from robot_perception.models.runtimes.long_work import compiling

_LOG = logging.getLogger(__name__)
# Tracing and exporting change settings of torch for the whole process, and stages of other threads
# compile at the same time.
_COMPILING = threading.Lock()

Computation = Callable[[Tensors], Tensors]


class CompiledNetwork(ABC):
    """Computes a network with a library that compiles it, at the first call of each shape."""

    title: ClassVar[str]
    """Name of the library in messages."""

    def __init__(
        self,
        network: NamedNetwork,
        placement: DeviceSpec,
        files: CompiledFiles,
        max_shapes: int,
    ) -> None:
        """Prepare a network.

        Args:
            network: as loaded.
            placement: device and precision.
            files: where compiled networks are kept.
            max_shapes: of inputs that it is compiled for; further ones are computed with torch.
        """
        self._network, self._placement, self._files = network, placement, files
        self._max_shapes, self._is_full = max_shapes, False
        self._computations: dict[Shapes, Computation] = {}

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs.

        Raises:
            UnusableRuntimeError: the library cannot convert, compile or compute the network.
        """
        shapes = fixed_shapes(self._network, inputs)
        if shapes not in self._computations:
            if len(self._computations) >= self._max_shapes:
                self._warn_once(shapes)
                return compute_in_fp32(self._network, inputs)
            with compiling():
                self._computations[shapes] = self._read(shapes) or self._make(shapes, inputs)
        try:
            return self._computations[shapes](inputs)
        except Exception as error:
            raise self._unusable('compute', error) from error

    @abstractmethod
    def _compile(self, inputs: Tensors) -> tuple[Computation, bytes]:
        """Compile the network for inputs of these shapes; also return what `_load` reads."""

    @abstractmethod
    def _load(self, content: bytes) -> Computation:
        """Return what was compiled before."""

    def _read(self, shapes: Shapes) -> Computation | None:
        content = self._files.read(shapes, 'network')
        if content is None:
            return None
        try:
            return self._load(content)
        except Exception as error:  # noqa: BLE001 - it is compiled again
            _LOG.warning('a compiled network cannot be read again: %s', error)
            return None

    def _make(self, shapes: Shapes, inputs: Tensors) -> Computation:
        begin_s = time.monotonic()
        _LOG.warning(
            'compiling the network %s for %s, once for inputs of %s',
            *(self._network.name, self.title, _describe(shapes)),
        )
        try:
            # Inference tensors can be neither traced nor exported.
            with _COMPILING, torch.inference_mode(mode=False), torch.no_grad():
                computation, content = self._compile(tuple(one.clone() for one in inputs))
        except Exception as error:
            raise self._unusable('convert', error) from error
        self._files.write(shapes, 'network', content)
        _LOG.warning('compiled in %.0f s', time.monotonic() - begin_s)
        return computation

    def _warn_once(self, shapes: Shapes) -> None:
        if not self._is_full:
            self._is_full = True
            _LOG.warning(
                'the network %s is computed with torch in fp32 for inputs of %s and others, since '
                '%s has compiled it for %d shapes; use images and batches of fewer sizes',
                *(self._network.name, _describe(shapes), self.title, self._max_shapes),
            )

    def _unusable(self, what: str, error: Exception) -> UnusableRuntimeError:
        reason = ' '.join(str(error).split())[:300]
        return UnusableRuntimeError(
            f'{self.title} cannot {what} it ({type(error).__name__}: {reason})'
        )


def _describe(shapes: Shapes) -> str:
    return ', '.join('x'.join(map(str, shape)) for shape in shapes)


class NetworkModule(torch.nn.Module):
    """A named network as a module, which exporters ask for."""

    def __init__(self, network: NamedNetwork) -> None:
        """Keep the network."""
        super().__init__()
        self._network = network.network
        self._call = network.call
        self.eval()

    def forward(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs."""
        return self._call(*inputs)


def with_two(inputs: Tensors, varying: tuple[int, int]) -> Tensors:
    """Repeat the input of varying length if it has length one, which exporters take as fixed."""
    index, axis = varying
    if inputs[index].shape[axis] != 1:
        return inputs
    changed = [*inputs]
    changed[index] = torch.cat([inputs[index]] * 2, dim=axis)
    return tuple(changed)
