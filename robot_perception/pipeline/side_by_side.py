"""Work whose result is asked for later: done when it is asked for, or meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

_Result = TypeVar('_Result')


class Begin(Protocol):
    """Takes work, and gives what waits for its result or raises its error; to be asked once."""

    def __call__(self, work: Callable[[], _Result]) -> Callable[[], _Result]:
        """Take ``work``."""


@contextmanager
def one_by_one() -> Iterator[Begin]:
    """Do work when its result is asked for, and not at all where nobody asks."""

    def begin(work: Callable[[], _Result]) -> Callable[[], _Result]:
        return work

    yield begin


@contextmanager
def side_by_side() -> Iterator[Begin]:
    """Do work at once on another thread, in the order it was begun; the thread ends at the end.

    An error of work that nobody asked for is raised at the end. After an error of the caller what
    runs is waited for, and what does not run yet is left out.
    """
    # Held here alone: results that held their futures would, by the traceback of an error, hold
    # themselves, and all that the caller holds.
    begun: dict[object, Future[Any]] = {}

    with ThreadPoolExecutor(1, 'perception_beside') as pool:

        def begin(work: Callable[[], _Result]) -> Callable[[], _Result]:
            ticket = object()
            begun[ticket] = pool.submit(work)

            def result() -> _Result:
                finished: _Result = begun.pop(ticket).result()
                return finished

            return result

        try:
            yield begin
            while begun:
                begun.popitem()[1].result()
        finally:
            # What still runs may ask for a result meanwhile, which leaves the dictionary.
            for future in list(begun.values()):
                future.cancel()
            begun.clear()
