"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
    Histogram,
    ProcessCollector,
)

from robot_perception.server.pool import WorkerPool
from robot_perception.server.questions import Questions

_PREFIX = 'robot_perception'
_BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counts requests, and reads the state of the workers when it is read."""

    def __init__(self, pool: WorkerPool, questions: Questions) -> None:
        """Create a registry of its own, so that services in one process do not mix."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            f'{_PREFIX}_requests',
            'Requests that were answered',
            ('path', 'status'),
            registry=self._registry,
        )
        self._seconds = self._histogram('request_seconds', 'Time of a request', 'path')
        self._stage_seconds = self._histogram('stage_seconds', 'Time of a stage', 'stage')
        for name, text, source, attribute in (
            ('waiting_requests', 'Requests that wait for a worker', pool, 'waiting'),
            ('computing_requests', 'Requests that a worker computes', pool, 'computing'),
            ('ready_workers', 'Workers whose networks are loaded', pool, 'ready'),
            ('worker_restarts', 'Workers that were started again', pool, 'restarts'),
            ('running_questions', 'Questions that are being answered', questions, 'running'),
        ):
            gauge = Gauge(f'{_PREFIX}_{name}', text, registry=self._registry)
            gauge.set_function(partial(getattr, source, attribute))

    def add_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request; ``path`` is one of few."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def add_scene(self, timing_s: Mapping[str, float]) -> None:
        """Add the times of the stages of a scene."""
        for stage, seconds in timing_s.items():
            self._stage_seconds.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, text: str, label: str) -> Histogram:
        return Histogram(
            f'{_PREFIX}_{name}', text, (label,), buckets=_BOUNDS_S, registry=self._registry
        )
