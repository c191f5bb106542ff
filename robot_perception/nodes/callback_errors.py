"""Errors of callbacks: counted and reported, while the node goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import traceback
from types import TracebackType

from rclpy.node import Node

_LOG_PERIOD_S = 1.0
INTERNAL_ERROR = 'an internal error, see /diagnostics and the log of this node'
"""Answer to a request that failed."""


@dataclass(frozen=True, slots=True)
class FailedCalls:
    """Calls of callbacks that failed.

    Attributes:
        counts: topic, service or task -> number of calls.
        problem: what has failed lately and what to do, empty if nothing has.
    """

    counts: Mapping[str, int]
    problem: str = ''


class CallbackErrors:
    """Keeps an error of one callback from ending the node; for the thread of the executor."""

    def __init__(self, node: Node) -> None:
        """Start without errors."""
        self._node = node
        self._counts: Counter[str] = Counter()
        # Name -> error of its last call; and of those since the last report.
        self._standing: dict[str, str] = {}
        self._recent: dict[str, str] = {}

    def guard(self, name: str, lost: str = 'a message') -> CallbackGuard:
        """Return a context that counts and logs an error of its body, and goes on after it.

        Args:
            name: topic, service or task.
            lost: what is lost with the call.
        """
        return CallbackGuard(self, name, lost)

    def guarded(
        self, name: str, callback: Callable[..., None], lost: str = 'a message'
    ) -> Callable[..., None]:
        """Return a callback whose errors are counted and logged; arguments as of `guard`."""

        def run(*arguments: object) -> None:
            with self.guard(name, lost):
                callback(*arguments)

        return run

    def report(self) -> FailedCalls:
        """Return the errors so far; call once a second.

        An error is reported once, and as long as no later call of the same name succeeds.
        """
        errors, self._recent = {**self._standing, **self._recent}, {}
        problem = ' '.join(
            f'{name}: {error}. The node goes on without it. Report this error with the traceback '
            'in the log of this node.'
            for name, error in sorted(errors.items())
        )
        return FailedCalls(dict(self._counts), problem)

    def succeeded(self, name: str) -> None:
        """Note a call without an error."""
        self._standing.pop(name, None)

    def failed(self, name: str, lost: str, error: BaseException) -> None:
        """Count and log the error of a call."""
        if not self._node.context.ok():
            # A signal has shut ROS down during this callback, which is expected to fail.
            return
        self._counts[name] += 1
        text = f'{lost} was lost to an internal error'
        self._standing[name] = self._recent[name] = f'{text}: {error!r}'
        trace = ''.join(traceback.format_exception(error))
        self._node.get_logger().error(
            f'{name}: {text}:\n{trace}', throttle_duration_sec=_LOG_PERIOD_S
        )


class CallbackGuard:
    """A context that ends without an error, see `CallbackErrors.guard`."""

    def __init__(self, errors: CallbackErrors, name: str, lost: str) -> None:
        """Create the context; arguments as of `CallbackErrors.guard`."""
        self._errors = errors
        self._name = name
        self._lost = lost

    def __enter__(self) -> None:
        """Begin a call."""

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        __: TracebackType | None,
    ) -> bool:
        """End the call; True if it failed and the node goes on."""
        if error is None:
            self._errors.succeeded(self._name)
            return False
        # Raised to end the process, or a coroutine.
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            return False
        # As in the worker: libraries in Rust raise a BaseException, and one bad message must not
        # end the process.
        self._errors.failed(self._name, self._lost, error)
        return True
