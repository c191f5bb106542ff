"""A bounded executor that runs calls in order on one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec

_P = ParamSpec('_P')


class SerialExecutor:
    """Runs calls in order on one thread; submitting blocks while the queue is full.

    The error of a call is raised by a later `submit` or by `wait`, and no later call runs.
    """

    def __init__(self, name: str, max_pending: int) -> None:
        """Start the thread; at most ``max_pending`` calls run or wait."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._max_pending = max_pending
        self._pending: deque[Future[None]] = deque()
        self._failed = False

    def submit(self, work: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Run ``work`` after everything submitted before it."""
        while len(self._pending) >= self._max_pending:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._run, partial(work, *args, **kwargs)))

    def wait(self) -> None:
        """Wait until every call has returned."""
        while self._pending:
            self._pending.popleft().result()

    def close(self) -> None:
        """Cancel the calls that have not begun, and end the thread."""
        self._pool.shutdown(cancel_futures=True)

    def _run(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            work()
        except BaseException:
            self._failed = True
            raise
