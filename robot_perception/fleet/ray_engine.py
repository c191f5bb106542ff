"""Workers of a Ray cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
import logging
import os
import time
from typing import Any

from robot_perception.core import ConfigError, requires
from robot_perception.fleet.engine import WorkerLost

with requires('"robot_perception[fleet]"'):
    import ray

_LOG = logging.getLogger(__name__)
# A cluster that grows with demand must know of more tasks than it can run.
_MAX_PENDING = 4096
# Machines of a cluster may still be starting.
_JOIN_LIMIT_S, _POLL_S = 60.0, 1.0


class RayEngine:
    """Runs each function as a Ray task; a task and what it returns is a few kilobytes."""

    def __init__(self, address: str | None, workers: int | None, cpus: int, gpus: float) -> None:
        """Connect to a cluster, or start one on this machine.

        Args:
            address: of the cluster; None takes that of ``RAY_ADDRESS``, or starts one.
            workers: how many tasks may run at once; None leaves it to the cluster.
            cpus: CPU cores of each task.
            gpus: GPUs of each task, or a share of one.

        Raises:
            ConfigError: there is no such cluster, or none of its machines can run a task.
        """
        self.slots = workers or _MAX_PENDING
        options: dict[str, Any] = {'address': address}
        if address is None and 'RAY_ADDRESS' not in os.environ:
            # Nothing leaves the machine.
            os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
            options = {'include_dashboard': False, 'num_cpus': workers and workers * cpus}
        try:
            ray.init(**options, log_to_driver=False, logging_level='WARNING')
        except Exception as error:
            # Ray raises plain exceptions too.
            cause = str(error).rstrip('.')
            raise ConfigError(
                'no_cluster',
                f'--address: expected a Ray cluster, got {address or "none"}: {cause}. Start one '
                'with "ray start --head", or leave the flag out for one on this machine.',
            ) from error
        self._function = ray.remote(_run_on_node)
        self._needed = cpus, gpus
        self._options = {
            'num_cpus': cpus,
            'num_gpus': gpus,
            # The fleet retries, and counts.
            'max_retries': 0,
            'scheduling_strategy': 'SPREAD',
        }
        try:
            # No machine joins a cluster that was started here.
            self._wait_for_node(cpus, gpus, 0.0 if 'num_cpus' in options else _JOIN_LIMIT_S)
        except BaseException:
            self.close()
            raise
        self._keys: dict[Any, str] = {}

    def submit(
        self,
        key: str,
        function: Callable[[Any], object],
        argument: object,
        avoid: Collection[str] = (),
    ) -> None:
        """Run a function as a task; see `Engine`."""
        options = dict(self._options)
        if avoid and self._able_nodes() - set(avoid):
            options['label_selector'] = {'ray.io/node-id': f'!in({",".join(sorted(avoid))})'}
        self._keys[self._function.options(**options).remote(function, argument)] = key

    def next_result(self, timeout_s: float | None) -> tuple[str, object, str] | None:
        """Wait for any submitted function; see `Engine`."""
        done, _ = ray.wait(list(self._keys), num_returns=1, timeout=timeout_s)
        if not done:
            return None
        key = self._keys.pop(done[0])
        try:
            result, node = ray.get(done[0])
        except ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[0]
            return key, WorkerLost(f'the Ray worker ended: {first}'), ''
        return key, result, node

    def _able_nodes(self) -> set[str]:
        """Return the ids of the machines that have the resources of a task."""
        cpus, gpus = self._needed
        return {
            node_id
            for node_id, (node_cpus, node_gpus) in _resources().items()
            if node_cpus >= cpus and node_gpus >= gpus
        }

    def _wait_for_node(self, cpus: int, gpus: float, limit_s: float) -> None:
        """Wait until a machine of the cluster has the resources of a task.

        Raises:
            ConfigError: none has after the time limit.
        """
        end_s, is_asked = time.monotonic() + limit_s, False
        while True:
            if self._able_nodes():
                return
            found = _resources().values()
            counts = Counter(f'{one[0]:g} CPUs, {one[1]:g} GPUs' for one in found)
            listed = '; '.join(f'{count} with {what}' for what, count in sorted(counts.items()))
            text = (
                f'--cpus {cpus} --gpus {gpus:g}: expected a machine of the cluster with as many, '
                f'got {listed or "none"}.'
            )
            if time.monotonic() >= end_s:
                raise ConfigError('no_machine', f'{text} Lower them, or add such a machine.')
            if not is_asked:
                _LOG.warning('%s Waiting %g s for another one.', text, limit_s)
                # A cluster that grows with demand adds machines for tasks that wait.
                self._function.options(**self._options).remote(int, 0)
                is_asked = True
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Disconnect, which ends all tasks; end a cluster that was started here."""
        ray.shutdown()


def _resources() -> dict[str, tuple[float, float]]:
    """Return CPU cores and GPUs of each machine by its id."""
    found = {node['NodeID']: node['Resources'] for node in ray.nodes() if node['Alive']}
    return {
        node_id: (have.get('CPU', 0.0), have.get('GPU', 0.0)) for node_id, have in found.items()
    }


def _run_on_node(function: Callable[[Any], object], argument: object) -> tuple[object, str]:
    return function(argument), ray.get_runtime_context().get_node_id()
