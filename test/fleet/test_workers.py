"""Fleets as a user runs them: processes and Ray workers that are killed, full disks."""

import json
import os
import random
import resource
import signal
import time

from commands import Command
from fleets import find_workers, results, write_recordings
import pytest

pytestmark = pytest.mark.slow

RECORDINGS = 3


@pytest.fixture(scope='module')
def command(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fleet')
    write_recordings(folder / 'bags', RECORDINGS, images=8)
    command = Command(folder)
    # Ray gives up after 30 s, which a loaded machine may need.
    command.environment['RAY_raylet_start_wait_time_s'] = '120'
    return command


@pytest.fixture(scope='module')
def undisturbed(command):
    """The results of one worker that nothing disturbs."""
    program = command.start(*call('expected', 'local', workers=1))
    _, errors = program.communicate(timeout=500)
    assert program.returncode == 0, errors
    return results(command.folder / 'expected')


def call(output, engine, workers=2):
    return (
        *('fleet', 'bags', '-o', output, '--preset', 'stub', '--split', 2, '-q'),
        *('--engine', engine, '--workers', workers, '--retries', 20),
        *('--json', f'{output}_report.json', '--force'),
    )


def read_report(command, output):
    return json.loads((command.folder / f'{output}_report.json').read_text())


def kill_workers(program, kills, seed):
    """Kill workers of a running fleet at random until it ends; returns how many."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    done = 0
    end = time.monotonic() + 500
    while done < kills and time.monotonic() < end and program.poll() is None:
        time.sleep(rng.uniform(0.02, 0.2))
        if workers := find_workers(program):
            os.kill(rng.choice(workers), signal.SIGKILL)
            done += 1
    return done


def test_processes_are_killed(command, undisturbed):
    program = command.start(*call('local', 'local'))
    kills = kill_workers(program, 3, seed=1)
    _, errors = program.communicate(timeout=500)
    assert program.returncode == 0, errors
    assert kills >= 1
    assert results(command.folder / 'local') == undisturbed
    report = read_report(command, 'local')
    assert len(report['processed']) == RECORDINGS
    assert report['lost_workers'] >= 1


def test_workers_of_ray_are_killed(command, undisturbed):
    program = command.start(*call('ray', 'ray'))
    kills = kill_workers(program, 2, seed=2)
    _, errors = program.communicate(timeout=500)
    assert program.returncode == 0, errors
    assert kills >= 1
    assert results(command.folder / 'ray') == undisturbed
    assert len(read_report(command, 'ray')['processed']) == RECORDINGS


def test_the_disk_of_one_worker_is_full(command, undisturbed):
    program = command.start(*call('full', 'local'))
    while not (workers := find_workers(program)):
        assert program.poll() is None
        time.sleep(0.02)
    resource.prlimit(workers[0], resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    _, errors = program.communicate(timeout=500)
    assert program.returncode == 0, errors
    # The worker was replaced, and what it could not write was written by others.
    assert results(command.folder / 'full') == undisturbed


def test_a_fleet_that_is_killed_goes_on(command, undisturbed):
    program = command.start(*call('killed', 'local'))
    while not list((command.folder / 'killed').glob('bags/*/*')):
        assert program.poll() is None
        time.sleep(0.02)
    workers = find_workers(program)
    program.kill()
    program.communicate()
    end = time.monotonic() + 60
    while any(os.path.exists(f'/proc/{worker}') for worker in workers):  # noqa: PTH110 - no file
        assert time.monotonic() < end, 'workers outlive their fleet'
        time.sleep(0.05)
    program = command.start(*call('killed', 'local'))
    _, errors = program.communicate(timeout=500)
    assert program.returncode == 0, errors
    assert results(command.folder / 'killed') == undisturbed


def test_nothing_to_do_starts_no_worker(command, undisturbed):
    done = command(*call('expected', 'ray'))
    assert done.returncode == 0, done.stderr
    report = read_report(command, 'expected')
    assert len(report['unchanged']) == RECORDINGS
    assert report['elapsed_s'] < 5
    assert results(command.folder / 'expected') == undisturbed
