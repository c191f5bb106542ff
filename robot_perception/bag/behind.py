"""Work that is done in another thread, in order, a little behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec

_P = ParamSpec('_P')


class Behind:
    """One thread that runs what it is given; who gives waits when it is too far behind.

    What a call raises is raised by a later `__call__` or by `wait`, and nothing runs after it.
    """

    def __init__(self, name: str, most_waiting: int) -> None:
        """Start the thread; ``most_waiting`` calls may be under way or wait."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._most_waiting = most_waiting
        self._waiting: deque[Future[None]] = deque()
        self._failed = False

    def __call__(self, work: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Run ``work`` after all that came before it."""
        while len(self._waiting) >= self._most_waiting:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._run, partial(work, *args, **kwargs)))

    def wait(self) -> None:
        """Wait until all is done."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Drop what has not begun and end the thread."""
        self._pool.shutdown(cancel_futures=True)

    def _run(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            work()
        except BaseException:
            self._failed = True
            raise
