"""Two things at once, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
import functools
from typing import Any, Protocol, TypeVar

_Result = TypeVar('_Result')


class Begin(Protocol):
    """Begins work, and gives what waits for its result or raises its error."""

    def __call__(self, work: Callable[[], _Result]) -> Callable[[], _Result]:
        """Begin ``work``."""


class Aside(Protocol):
    """Where work is done that somebody asks for later."""

    def __call__(self) -> AbstractContextManager[Begin]:
        """Give what begins work; at the end nothing that was begun goes on."""


class OneByOne:
    """Work is done when its result is asked for, and not at all where nobody asks."""

    @contextmanager
    def __call__(self) -> Iterator[Begin]:
        """Give what remembers work until then."""

        def begin(work: Callable[[], _Result]) -> Callable[[], _Result]:
            return functools.cache(work)

        yield begin


class SecondThread:
    """Work is done at once by one other thread, in the order it was begun."""

    def __init__(self) -> None:
        """Start nothing yet: the thread starts with the first work and ends with this object."""
        self._thread = ThreadPoolExecutor(1, 'perception_aside')

    @contextmanager
    def __call__(self) -> Iterator[Begin]:
        """Give what hands work over; at the end wait for what runs, leave out what does not yet."""
        begun: list[Future[Any]] = []

        def begin(work: Callable[[], _Result]) -> Callable[[], _Result]:
            future = self._thread.submit(work)
            begun.append(future)
            return future.result

        try:
            yield begin
        finally:
            for future in begun:
                future.cancel()
            wait(begun)
