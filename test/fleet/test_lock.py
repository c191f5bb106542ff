"""Locks of outputs: who holds them, and what a fleet does that has lost its own."""

from functools import partial, partialmethod
import itertools
import json
import os
from pathlib import Path
import threading
import time

from fleets import DirectEngine, fleet_job, results, write_recordings
import fsspec
import pytest
from reasons import raises

from robot_perception.core import OutputError
from robot_perception.fleet import Address, process_fleet
from robot_perception.fleet.lock import check_lock, locked

OUTPUT = Address.parse('memory://locks/out')
FILE = '/locks/out/.lock'
OLD_S = 1000.0


@pytest.fixture
def storage(monkeypatch):
    monkeypatch.setattr('robot_perception.fleet.lock._WATCHED_S', 0.0)
    monkeypatch.setattr('robot_perception.fleet.lock._RENEWED_S', 0.02)
    monkeypatch.setattr('robot_perception.fleet.lock._SETTLED_S', 0.0)
    storage = fsspec.filesystem('memory')
    yield storage
    if storage.exists('/locks'):
        storage.rm('/locks', recursive=True)


def lease_of_this_process(storage):
    with locked(OUTPUT):
        return json.loads(storage.cat(FILE))


def changed(lease, index, value, age_s=0.0):
    """Return a lease with another part of its process: boot, namespace, number or start."""
    process = list(lease['process'])
    process[index] = value
    return json.dumps({**lease, 'process': process, 'time_s': time.time() - age_s}).encode()


@pytest.mark.parametrize('index', [0, 1])
def test_processes_of_other_machines_and_containers_are_judged_by_time(storage, index):
    lease = lease_of_this_process(storage)
    # Its number is that of a process here, which proves nothing, whether it runs or not.
    for number in (os.getpid(), 2**22 + 1):
        lease['process'][2] = number
        storage.pipe(FILE, changed(lease, index, 'other'))
        with raises(OutputError, 'in_use'), locked(OUTPUT):
            pass
        storage.pipe(FILE, changed(lease, index, 'other', OLD_S))
        with locked(OUTPUT):
            assert storage.cat(FILE) != lease
        assert not storage.exists(FILE)


@pytest.mark.parametrize(('index', 'value'), [(2, 2**22 + 1), (3, '1')])
def test_a_process_of_this_machine_that_ended_holds_nothing(storage, index, value):
    storage.pipe(FILE, changed(lease_of_this_process(storage), index, value))
    with locked(OUTPUT) as lock:
        lock.check()


def test_a_process_of_this_machine_holds_it_without_renewal(storage):
    """One that is stopped, or whose storage does not answer, may go on."""
    lease = lease_of_this_process(storage)
    storage.pipe(FILE, json.dumps({**lease, 'time_s': 0.0}).encode())
    with raises(OutputError, 'in_use') as caught, locked(OUTPUT):
        pass
    assert f'process {os.getpid()} of {lease["host"]}' in str(caught.value)


def test_a_lock_that_is_renewed_counts_whatever_its_clock(storage, monkeypatch):
    lease = lease_of_this_process(storage)

    def renew(_):
        storage.pipe(FILE, changed(lease, 0, 'other', OLD_S - 20))

    storage.pipe(FILE, changed(lease, 0, 'other', OLD_S))
    monkeypatch.setattr('robot_perception.fleet.lock.time.sleep', renew)
    with raises(OutputError, 'in_use'), locked(OUTPUT):
        pass


@pytest.mark.parametrize(
    'content', [b'', b'no JSON', b'[]', b'{"process": 3}', b'{"process": []}']
)
def test_what_is_no_lock_is_replaced(storage, content):
    storage.pipe(FILE, content)
    with locked(OUTPUT) as lock:
        check_lock(OUTPUT, lock.token)


@pytest.mark.parametrize('operation', range(6))
def test_of_two_fleets_that_find_a_lock_of_one_that_ended_one_has_it(
    storage, monkeypatch, operation
):
    """The second takes it before each operation of the first on the storage."""
    ended = changed(lease_of_this_process(storage), 2, 2**22 + 1)
    storage.pipe(FILE, ended)
    monkeypatch.setattr('robot_perception.fleet.lock._SETTLED_S', 0.3)
    outcomes, release, operations = [], threading.Event(), itertools.count()

    def take():
        try:
            with locked(OUTPUT) as lock:
                lock.check()
                outcomes.append('held')
                release.wait(60)
        except OutputError as error:
            outcomes.append(error.reason)

    first, second = (threading.Thread(target=take) for _ in range(2))

    def interleave(original, *arguments):
        if threading.current_thread() is first and next(operations) == operation:
            second.start()
            while not outcomes and OUTPUT.child('.lock').read() in {None, ended}:
                time.sleep(0.001)
        return original(*arguments)

    for name in ('create', 'read', 'remove'):
        method = partialmethod(partial(interleave, getattr(Address, name)))
        monkeypatch.setattr(Address, name, method)
    first.start()
    end = time.monotonic() + 20
    while len(outcomes) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    release.set()
    first.join()
    second.join()
    assert sorted(outcomes) == ['held', 'in_use']


def test_a_lock_that_another_has_taken_over_is_lost(storage):
    with locked(OUTPUT) as lock:
        lock.check()
        check_lock(OUTPUT, lock.token)
        storage.pipe(FILE, b'{"token": "other"}')
        with raises(OutputError, 'lost_lock'):
            check_lock(OUTPUT, lock.token)
        end = time.monotonic() + 60
        with raises(OutputError, 'lost_lock'):
            while time.monotonic() < end:
                lock.check()
                time.sleep(0.01)
    # It is that of the other, which goes on.
    assert storage.cat(FILE) == b'{"token": "other"}'


def test_a_fleet_that_loses_its_lock_during_the_probe_writes_no_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_recordings('bags', 1, images=1)

    class Overtaken(DirectEngine):
        def submit(self, key, function, argument, avoid=()):
            super().submit(key, function, argument, avoid)
            Path('out/.lock').write_text('{"token": "other"}')
            Path('out/manifest.json').write_text('of the other')

        def next_result(self, timeout_s):
            assert timeout_s is not None

    with raises(OutputError, 'lost_lock'):
        process_fleet(fleet_job(['bags'], 'out'), lambda _: Overtaken())
    assert Path('out/manifest.json').read_text() == 'of the other'


def test_a_lock_that_cannot_be_renewed_is_lost(storage, monkeypatch):
    with locked(OUTPUT) as lock:
        monkeypatch.setattr('robot_perception.fleet.lock._STALE_S', -1.0)
        with raises(OutputError, 'lost_lock'):
            lock.check()


def test_a_fleet_that_has_lost_its_lock_writes_no_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_recordings('bags', 2, images=1)
    before = {}

    class Overtaken(DirectEngine):
        def submit(self, key, function, argument, avoid=()):
            if function.__name__ == 'run_recording' and not before:
                # Somebody has removed the lock, and another fleet has made its own.
                Path('out/.lock').unlink()
                Path('out/.lock').write_text('{"token": "other"}')
                manifest = Path('out/manifest.json')
                manifest.write_bytes(manifest.read_bytes() + b'\n')
                before.update(results('out'), manifest=manifest.read_bytes())
            super().submit(key, function, argument, avoid)

    with raises(OutputError, 'lost_lock'):
        process_fleet(fleet_job(['bags'], 'out'), lambda _: Overtaken())
    assert before.pop('manifest') == Path('out/manifest.json').read_bytes()
    after = {name: data for name, data in results('out').items() if not name.startswith('.work/')}
    assert after == before
