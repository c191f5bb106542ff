"""Workers that cannot be started, the first time and later."""

import asyncio
from contextlib import contextmanager
import multiprocessing
import resource
import time

import pytest

pytest.importorskip('fastapi')

from reasons import raises

from robot_perception.core import ModelError
from robot_perception.pipeline import PerceptionConfig
from robot_perception.server.job import Job
from robot_perception.server.pool import WorkerPool
from robot_perception.server.problem import ProblemError
from robot_perception.server.worker_process import WorkerProcess

CONFIG = PerceptionConfig.from_preset('stub')


@contextmanager
def no_free_files():
    """Let this process open no more files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def test_waiting_requests_are_refused_when_the_first_worker_cannot_be_started():
    async def run():
        pool = WorkerPool([CONFIG], 2, 30.0)
        stopped = []
        pool.on_error = lambda: stopped.append(future.done())
        future = pool.submit(Job(b''))
        with no_free_files():
            pool.start()
            await until(lambda: stopped)
        assert stopped == [True]
        with raises(ModelError, pool.error.reason):
            await pool.wait_loaded()
        assert (future.exception().status, future.exception().reason) == (503, 'no_worker')
        assert isinstance(pool.error, ModelError)
        assert 'Too many open files' in str(pool.error)
        with raises(ProblemError, 'no_worker'):
            pool.submit(Job(b''))
        await pool.close()

    asyncio.run(run())


@pytest.mark.slow
def test_a_worker_is_started_again_once_there_are_free_files():
    async def run():
        pool = WorkerPool([CONFIG], 2, 30.0)
        pool.start()
        await until(lambda: pool.ready)
        (process,) = multiprocessing.active_children()
        with no_free_files():
            process.kill()
            await until(lambda: pool.restarts == 1)
            await asyncio.sleep(0.1)
            with raises(ProblemError, 'no_worker'):
                pool.check()
        await until(lambda: pool.ready)
        assert pool.error is None
        await pool.close()

    asyncio.run(run())


@pytest.mark.slow
def test_any_error_at_the_start_of_the_networks_is_named():
    async def run():
        worker = WorkerProcess(None, lambda: None)
        try:
            await worker.start()
        finally:
            worker.close()

    with raises(ModelError, 'internal', match='AttributeError'):
        asyncio.run(run())
