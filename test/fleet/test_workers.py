"""Fleets as a user runs them: processes and Ray workers that are killed, full disks."""

from contextlib import closing
import json
import multiprocessing
import operator
import os
import random
import resource
import signal
import time

from commands import Command
from fleets import find_workers, results, write_recordings
import pytest
import ray
from reasons import raises

from robot_perception.cli.main import main
from robot_perception.core import ConfigError
from robot_perception.fleet import LocalEngine, RayEngine, WorkerLost

pytestmark = pytest.mark.slow

RECORDINGS = 3


@pytest.fixture(scope='module')
def command(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fleet')
    write_recordings(folder / 'bags', RECORDINGS, images=8)
    command = Command(folder)
    # Processes of Ray on a loaded machine wait longer for its raylet; its Python waits 30 s.
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
    assert len(read_report(command, 'local')['processed']) == RECORDINGS


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
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Any attempt to connect to this cluster fails.
    done = command(*call('expected', 'ray'), RAY_ADDRESS='127.0.0.1:1')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    report = read_report(command, 'expected')
    assert report['processed'] == report['failures'] == []
    assert report['unchanged'] == [f'bags/day_{run % 2}/run_{run}' for run in (0, 2, 1)]
    # Of the processor: the time by the clock depends on what else the machine does.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
    assert results(command.folder / 'expected') == undisturbed


def test_a_report_is_not_replaced_without_force(command, undisturbed):
    before = (command.folder / 'expected_report.json').read_bytes()
    done = command(*[word for word in call('expected', 'local') if word != '--force'])
    assert done.returncode == 1
    assert 'expected_report.json, which exists' in done.stderr
    assert (command.folder / 'expected_report.json').read_bytes() == before
    assert results(command.folder / 'expected') == undisturbed


def test_a_process_that_is_killed_is_replaced():
    with closing(LocalEngine(1)) as engine:
        engine.submit('killed', signal.raise_signal, signal.SIGKILL)
        key, lost, _ = engine.next_result(500)
        assert key == 'killed'
        assert isinstance(lost, WorkerLost)
        assert 'SIGKILL' in lost.text
        engine.submit('next', operator.neg, 5)
        assert engine.next_result(500) == ('next', -5, '')
        # One that is killed while it has nothing to do is lost with the next task.
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid, signal.SIGKILL)
        engine.submit('idle', operator.neg, 6)
        assert isinstance(engine.next_result(500)[1], WorkerLost)


def test_more_than_this_machine_has(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_recordings('bags', 1, images=1)
    words = ['fleet', 'bags', '-o', 'out', '--preset', 'stub', '--cpus', '999']
    assert main([*words, '--engine', 'local']) == 2
    assert 'CPU cores of this machine, got 999' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('gpus', 'resources', 'avoids'),
    [
        (0.0, {'CPU': 2.0}, True),
        (0.0, {'CPU': 1.0}, False),
        (1.0, {'CPU': 8.0}, False),
        (1.0, {'CPU': 8.0, 'GPU': 1.0}, True),
    ],
)
def test_a_machine_is_avoided_if_another_can_run_the_task(monkeypatch, gpus, resources, avoids):
    failed = {'CPU': 4.0, 'GPU': 4.0}
    nodes = [
        {'Alive': is_alive, 'NodeID': name, 'Resources': one}
        for name, is_alive, one in (
            ('failed', True, failed),
            ('other', True, resources),
            ('gone', False, failed),
        )
    ]
    options = []

    class Function:
        def options(self, **values):
            options.append(values)
            return self

        def remote(self, *_):
            return object()

    for name in ('init', 'shutdown'):
        monkeypatch.setattr(ray, name, lambda **_: None)
    monkeypatch.setattr(ray, 'nodes', lambda: nodes)
    monkeypatch.setattr(ray, 'remote', lambda _: Function())
    with closing(RayEngine('auto', 2, 2, gpus)) as engine:
        engine.submit('task', operator.neg, 5, ['failed'])
    expected = {'ray.io/node-id': '!in(failed)'} if avoids else None
    assert options[-1].get('label_selector') == expected


@pytest.mark.parametrize('address', [None, 'auto'])
def test_more_than_any_machine_of_a_cluster_has(monkeypatch, address):
    """With the nodes of a cluster of three, in the form in which Ray 2.60 lists them."""
    small, graphics = {'CPU': 4.0, 'memory': 1e9}, {'CPU': 2.0, 'GPU': 1.0}
    nodes = [
        {'Alive': True, 'NodeID': str(number), 'Resources': one}
        for number, one in enumerate((small, small, graphics))
    ]
    ended = []
    monkeypatch.delenv('RAY_ADDRESS', raising=False)
    monkeypatch.setattr('robot_perception.fleet.ray_engine._JOIN_LIMIT_S', 0.0)
    monkeypatch.setattr(ray, 'init', lambda **_: None)
    monkeypatch.setattr(ray, 'nodes', lambda: nodes)
    monkeypatch.setattr(ray, 'shutdown', lambda: ended.append(address))
    for cpus, gpus in ((5, 0.0), (3, 0.5), (1, 2.0)):
        with raises(ConfigError, 'no_machine') as caught:
            RayEngine(address, 2, cpus, gpus)
        assert 'got 1 with 2 CPUs, 1 GPUs; 2 with 4 CPUs, 0 GPUs' in str(caught.value)
    assert len(ended) == 3
    for cpus, gpus in ((4, 0.0), (2, 0.5)):
        RayEngine(address, 2, cpus, gpus)
    assert len(ended) == 3
