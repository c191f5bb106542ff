"""Computes the networks of a stage in the best way that is right."""

from __future__ import annotations

from collections.abc import Sequence
import importlib
import logging

import torch

from robot_perception.models.device import DeviceSpec
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.runtimes.cache import CompiledFiles
from robot_perception.models.runtimes.choice import Backend, RUNTIMES, TORCH
from robot_perception.models.runtimes.eager import EagerNetwork
from robot_perception.models.runtimes.interfaces import ComputedNetwork, UnusableRuntimeError
from robot_perception.models.runtimes.self_check import CheckedNetwork

_LOG = logging.getLogger(__name__)


class NetworkRunner:
    """Computes the named networks of a stage.

    A backend that cannot compute them, or not as torch in fp32 does, is replaced by the next one.

    Attributes:
        backend: runtime and precision in use.
        note: states which backends were replaced and why; empty if none was.
    """

    def __init__(
        self,
        networks: Sequence[NamedNetwork],
        device: torch.device,
        backends: Sequence[Backend],
        task: str,
    ) -> None:
        """Prepare the networks for the first backend that can be used.

        Args:
            networks: as loaded.
            device: where torch computes.
            backends: best first; the last one is torch.
            task: name of the stage.
        """
        self.note = ''
        self._networks, self._device = networks, device
        self._backends, self._task = list(backends), task
        self._start()

    def __call__(self, name: str, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs of a network."""
        while True:
            try:
                return self._computed[name](*inputs)
            except UnusableRuntimeError as error:  # noqa: PERF203 - each one is another backend
                self._replace(error)
                self._start()

    @property
    def is_checked(self) -> bool:
        """Whether outputs are compared with those of torch in fp32."""
        return self.backend.runtime != TORCH

    def _start(self) -> None:
        while True:
            self.backend = self._backends[0]
            try:
                self._computed = {one.name: self._prepare(one) for one in self._networks}
            except UnusableRuntimeError as error:
                self._replace(error)
            else:
                return

    def _replace(self, error: UnusableRuntimeError) -> None:
        rejected = self._backends.pop(0)
        self.note = f'{self._task}: {rejected} is replaced by {self._backends[0]}, since {error}.'
        _LOG.warning(self.note)

    def _prepare(self, network: NamedNetwork) -> ComputedNetwork:
        runtime, precision = self.backend
        if runtime == TORCH:
            return EagerNetwork(network, DeviceSpec(self._device, precision))
        row = RUNTIMES[runtime]
        files = CompiledFiles(network, str(self.backend), row.library)
        kind = getattr(importlib.import_module(row.module), row.name)
        computed = kind(network, precision, files)
        return CheckedNetwork(network, computed, self._task, precision, files)
