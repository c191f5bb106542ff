"""Execution of work whose result is needed later: lazily, or on a second thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, TypeVar

_Result = TypeVar('_Result')
# A value, or a function that returns it; called only where the value is used, it may wait.
Promise: TypeAlias = _Result | Callable[[], _Result]


def resolve(promise: Promise[_Result]) -> _Result:
    """Return the value, or what the function returns."""
    return promise() if callable(promise) else promise


class Submit(Protocol):
    """Accepts work and returns a function that returns its result or raises its error, once."""

    def __call__(self, work: Callable[[], _Result]) -> Callable[[], _Result]:
        """Accept ``work``."""


@contextmanager
def lazy_execution() -> Iterator[Submit]:
    """Run each work when its result is asked for; work that is never asked for does not run."""

    def submit(work: Callable[[], _Result]) -> Callable[[], _Result]:
        return work

    yield submit


@contextmanager
def threaded_execution() -> Iterator[Submit]:
    """Run work immediately on a second thread, in order of submission.

    Leaving the context waits for all work and raises the error of work whose result was not asked
    for. When the body raises, running work is waited for and pending work is cancelled.
    """
    # Only this dictionary holds the futures: a result that held its own would, by the traceback of
    # an error, keep itself and everything that the caller holds alive.
    pending: dict[object, Future[Any]] = {}

    with ThreadPoolExecutor(1, 'perception_deferred') as pool:

        def submit(work: Callable[[], _Result]) -> Callable[[], _Result]:
            ticket = object()
            pending[ticket] = pool.submit(work)

            def result() -> _Result:
                finished: _Result = pending.pop(ticket).result()
                return finished

            return result

        try:
            yield submit
            while pending:
                pending.popitem()[1].result()
        finally:
            # Running work may ask for a result meanwhile, which changes the dictionary.
            for future in list(pending.values()):
                future.cancel()
            pending.clear()
