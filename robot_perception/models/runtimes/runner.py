"""Computes the networks of a stage in the fastest way that is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
import importlib
import logging
import math
import time

import torch

from robot_perception.models.device import DeviceSpec
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.runtimes import RUNTIMES, TORCH
from robot_perception.models.runtimes.cache import CompiledFiles
from robot_perception.models.runtimes.choice import Backend, Choice
from robot_perception.models.runtimes.eager import EagerNetwork
from robot_perception.models.runtimes.interfaces import (
    compute_in_fp32,
    ComputedNetwork,
    UnusableRuntimeError,
)
from robot_perception.models.runtimes.result_check import (
    measure_results,
    Result,
    result_tolerance,
)
from robot_perception.models.runtimes.self_check import CheckedNetwork

_LOG = logging.getLogger(__name__)
# Backends take turns, and the shortest time counts: other programs only make it longer.
_ROUNDS = 3
# Runtimes that compile networks do so for images of this many sizes, or batches of them.
_MAX_SIZES = 4

Loader = Callable[[], Sequence[NamedNetwork]]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Networks by name, with and without the comparison with torch in fp32."""

    checked: Mapping[str, ComputedNetwork]
    unchecked: Mapping[str, ComputedNetwork]


class NetworkRunner:
    """Computes the named networks of a stage.

    A backend that cannot compute them, or not as torch in fp32 does, is replaced by the next one.

    Attributes:
        backend: runtime and precision in use.
        note: states which backends were rejected and why; empty if none was.
        seconds: time of the stage on the reference picture, by name of the backend; empty where
            none was to be chosen.
    """

    def __init__(
        self,
        networks: Sequence[NamedNetwork],
        load: Loader,
        device: torch.device,
        choice: Choice,
        task: str,
        *,
        small_inputs: bool = False,
    ) -> None:
        """Prepare the networks for the first backend that can be used.

        Args:
            networks: as loaded, on the CPU.
            load: loads them once more.
            device: where torch computes.
            choice: backends to use.
            task: name of the stage.
            small_inputs: whether images of each size are also computed at smaller inputs.
        """
        self._max_shapes = _MAX_SIZES * (2 if small_inputs else 1)
        self.note = ''
        self.seconds: dict[str, float] = {}
        self._load, self._device, self._task = load, device, task
        self._networks = networks
        self._backends, self._timed = list(choice.backends), choice.timed
        self._last = choice.backends[-1]
        # Used instead of the backend in use while backends are compared.
        self._trial: Mapping[str, ComputedNetwork] | None = None
        self._start()

    def __call__(self, name: str, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs of a network.

        Raises:
            UnusableRuntimeError: while backends are compared.
        """
        if self._trial is not None:
            return self._trial[name](*inputs)
        while True:
            try:
                return self._current.checked[name](*inputs)
            except UnusableRuntimeError as error:  # noqa: PERF203 - each one is another backend
                self._reject(self._backends.pop(0), str(error))
                self._start()

    @property
    def is_comparing(self) -> bool:
        """Whether calls do not compute as they would otherwise, but for a comparison."""
        return self._trial is not None

    def choose(self, run: Callable[[], Result], sizes: object) -> None:
        """Compare with torch what computes images of a size; the first time, choose the fastest.

        Args:
            run: runs the stage on the reference picture.
            sizes: of the picture and of inputs, under which the choice is kept.
        """
        while self._trial is None and (self.backend != self._last or self._timed > 1):
            timed, self._backends = self._backends[: self._timed], self._backends[self._timed :]
            self._timed = 1
            if self._choose_fastest(timed, run, sizes):
                return

    @contextmanager
    def without_comparison(self) -> Iterator[None]:
        """Compute with the backend in use, right or wrong.

        Calls in the body raise an `UnusableRuntimeError` where it cannot compute a network.
        """
        self._trial = self._current.unchecked
        try:
            yield
        finally:
            self._trial = None

    def _choose_fastest(
        self, timed: Sequence[Backend], run: Callable[[], Result], sizes: object
    ) -> bool:
        """Use the fastest backend that is right; return False, and use the next, if none is."""
        names = [str(one) for one in timed]
        libraries = [name for one in timed for name in _libraries(one)]
        files = CompiledFiles(self._networks[0], f'choice of {", ".join(names)}', libraries)
        key = (sizes, torch.get_num_threads())
        prepared = {self.backend: self._current}
        record = files.read_record(key)
        if not record:
            prepared, rejected = self._compare(timed, run)
            record = {'seconds': self._measure(prepared, run), 'rejected': rejected}
            files.write_record(key, record)
        self.seconds = dict(record['seconds'])
        right = sorted((one for one in timed if str(one) in self.seconds), key=self._seconds)
        self._backends = [*right, *self._backends]
        for backend in timed:
            if backend not in right:
                self._reject(backend, record['rejected'][str(backend)])
        self._start(prepared)
        if right:
            times = ', '.join(f'{one} {self._seconds(one) * 1e3:.0f} ms' for one in right)
            _LOG.info('%s: %s', self._task, times)
        return bool(right)

    def _compare(
        self, timed: Sequence[Backend], run: Callable[[], Result]
    ) -> tuple[dict[Backend, _Prepared], dict[str, str]]:
        """Return the backends that are right, and by name why others are rejected."""
        prepared: dict[Backend, _Prepared] = {}
        rejected: dict[str, str] = {}
        expected = self._try({one.name: partial(_compute, one) for one in self._networks}, run)
        for backend in timed:
            try:
                networks = self._current if backend == self.backend else None
                networks = networks or self._prepare(backend, self._load)
                found = self._try(networks.checked, run)
                if backend != self._last:
                    self._check_result(backend.precision, expected, found)
            except UnusableRuntimeError as error:  # noqa: PERF203 - each one is another backend
                rejected[str(backend)] = str(error)
            else:
                prepared[backend] = networks
        return prepared, rejected

    def _check_result(self, precision: str, expected: Result, found: Result) -> None:
        difference = measure_results(expected, found)
        limit = result_tolerance(self._task, precision)
        if difference > limit:
            raise UnusableRuntimeError(
                f'its results differ from those of torch fp32 by {difference:.1e}, at most '
                f'{limit:.1e} is allowed'
            )

    def _measure(
        self, prepared: Mapping[Backend, _Prepared], run: Callable[[], Result]
    ) -> dict[str, float]:
        """Return the seconds of each backend for a run of the stage."""
        seconds = dict.fromkeys(map(str, prepared), math.inf)
        for _ in range(_ROUNDS):
            for backend, networks in prepared.items():
                began = time.perf_counter()
                self._try(networks.unchecked, run)
                taken = time.perf_counter() - began
                seconds[str(backend)] = min(seconds[str(backend)], taken)
        return seconds

    def _try(self, networks: Mapping[str, ComputedNetwork], run: Callable[[], Result]) -> Result:
        self._trial = networks
        try:
            return run()
        finally:
            self._trial = None

    def _seconds(self, backend: Backend) -> float:
        return self.seconds[str(backend)]

    def _start(self, prepared: Mapping[Backend, _Prepared] | None = None) -> None:
        while True:
            self.backend = self._backends[0]
            try:
                if self.backend == self._last:
                    # Nothing is compared any more: torch may change the networks.
                    self._current = self._prepare(self.backend, lambda: self._networks)
                else:
                    known = (prepared or {}).get(self.backend)
                    self._current = known or self._prepare(self.backend, self._load)
            except UnusableRuntimeError as error:
                self._reject(self._backends.pop(0), str(error))
            else:
                return

    def _reject(self, rejected: Backend, reason: str) -> None:
        self._timed = max(self._timed - 1, 1)
        note = f'{self._task}: {rejected} is replaced by {self._backends[0]}, since {reason}.'
        self.note = f'{self.note} {note}'.strip()
        _LOG.warning(note)

    def _prepare(self, backend: Backend, load: Loader) -> _Prepared:
        """Prepare the networks; those that torch changes come from ``load``."""
        runtime, precision = backend
        placement = DeviceSpec(self._device, precision)
        files = {
            one.name: CompiledFiles(one, str(backend), _libraries(backend))
            for one in self._networks
            if backend != self._last
        }
        computed: dict[str, ComputedNetwork]
        if runtime == TORCH:
            computed = {one.name: EagerNetwork(one, placement) for one in load()}
        else:
            row = RUNTIMES[runtime]
            kind = getattr(importlib.import_module(row.module), row.name)
            computed = {
                one.name: kind(one, placement, files[one.name], self._max_shapes)
                for one in self._networks
            }
        if backend == self._last:
            return _Prepared(computed, computed)
        checked = {
            one.name: CheckedNetwork(
                one, computed[one.name], self._task, precision, files[one.name]
            )
            for one in self._networks
        }
        return _Prepared(checked, computed)


def _compute(network: NamedNetwork, *inputs: torch.Tensor) -> Tensors:
    return compute_in_fp32(network, inputs)


def _libraries(backend: Backend) -> tuple[str, ...]:
    row = RUNTIMES.get(backend.runtime)
    return () if row is None else row.libraries
