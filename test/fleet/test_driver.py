"""What a fleet does, with an engine that runs everything in this process."""

from dataclasses import replace
import json
import os
import threading

import duckdb
from fleets import DirectEngine, fleet_job, results, write_recordings
import fsspec
import numpy as np
import pandas as pd
import pytest
from reasons import raises

from robot_perception.bag import read_results
from robot_perception.core import ConfigError, OutputError
from robot_perception.fleet import (
    Address,
    Failure,
    is_fleet_output,
    process_fleet,
    read_manifest,
    result_bags,
    WorkerLost,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_recordings('bags', 3)
    return tmp_path


def run(job, engine=None):
    engine = engine or DirectEngine()
    return process_fleet(job, lambda _: engine)


def no_engine(_):
    pytest.fail('there is nothing to do')


def test_results_mirror_the_recordings(folder):
    report = run(fleet_job(['bags'], 'out'))
    assert report.is_whole
    assert [one.name for one in report.processed] == [
        'bags/day_0/run_0',
        'bags/day_0/run_2',
        'bags/day_1/run_1',
    ]
    assert is_fleet_output(folder / 'out')
    bags = result_bags(folder / 'out')
    assert set(bags) == {one.name for one in report.processed}
    for name, bag in bags.items():
        scenes = list(read_results(bag))
        assert len(scenes) == 4
        # The recording is found from the result.
        assert all(one.has_image for one in scenes), name
    assert not (folder / 'out' / '.work').exists()


def test_tables_hold_the_scenes(folder):
    run(fleet_job(['bags'], 'out'))
    frames, objects, features = (
        duckdb.sql(
            f"from 'out/dataset/{table}/*/*.parquet' order by recording, frame{more}"
        ).fetchnumpy()
        for table, more in (('frames', ''), ('objects', ', object'), ('features', ''))
    )
    scenes = [
        (name, one.scene)
        for name, bag in result_bags(folder / 'out').items()
        for one in read_results(bag)
    ]
    assert frames['recording'].tolist() == [name for name, _ in scenes]
    assert frames['stamp_ns'].tolist() == [scene.image.stamp_ns for _, scene in scenes]
    assert frames['objects'].sum() == len(objects['score'])
    items = [item for _, scene in scenes for item in scene.objects]
    assert objects['class_name'].tolist() == [item.class_name for item in items]
    np.testing.assert_allclose(
        np.stack([objects[name] for name in ('left', 'top', 'right', 'bottom')], axis=1),
        [item.box_xyxy for item in items],
        rtol=1e-6,
    )
    for row, item in zip(objects['centroid_m'], items, strict=True):
        np.testing.assert_array_equal(row, item.centroid_m)
    for row, (_, scene) in zip(features['vector'], scenes, strict=True):
        np.testing.assert_array_equal(np.asarray(row, np.float32), scene.features.vector)


def test_pandas_reads_the_dataset(folder):
    run(fleet_job(['bags'], 'out'))
    table = pd.read_parquet('out/dataset/frames')
    assert table.groupby('recording', observed=True).size().to_dict() == {
        'bags/day_0/run_0': 4,
        'bags/day_0/run_2': 4,
        'bags/day_1/run_1': 4,
    }


def test_a_second_run_has_nothing_to_do(folder):
    run(fleet_job(['bags'], 'out'))
    before = results('out')
    report = process_fleet(fleet_job(['bags'], 'out'), no_engine)
    assert (len(report.processed), len(report.unchanged)) == (0, 3)
    assert results('out') == before


def test_only_what_is_missing_or_changed_is_processed(folder):
    run(fleet_job(['bags/day_0'], 'out'))
    before = results('out')
    (folder / 'out/bags/day_0/run_0/metadata.yaml').unlink()
    os.utime(folder / 'bags/day_0/run_2/run_2.mcap', (1, 1))
    write_recordings('bags', 4)
    report = run(fleet_job(['bags'], 'out'))
    assert [one.name for one in report.processed] == [
        'bags/day_0/run_0',
        'bags/day_0/run_2',
        'bags/day_1/run_1',
        'bags/day_1/run_3',
    ]
    after = results('out')
    assert before.items() <= after.items()


def test_verify_hashes_instead_of_comparing_times(folder):
    run(fleet_job(['bags'], 'out'))
    before = results('out')
    path = folder / 'out/bags/day_0/run_0/run_0_0.mcap'
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert len(run(fleet_job(['bags'], 'out')).processed) == 0
    report = run(fleet_job(['bags'], 'out', verify=True))
    assert [one.name for one in report.processed] == ['bags/day_0/run_0']
    assert len(report.unchanged) == 2
    assert results('out') == before


def test_unreadable_recordings_are_set_aside(folder):
    (folder / 'bags/broken.mcap').write_bytes(b'no bag')
    (folder / 'bags/empty').mkdir()
    (folder / 'bags/empty/metadata.yaml').write_text('')
    report = run(fleet_job(['bags', 'gone'], 'out'))
    assert len(report.processed) == 3
    assert {one.name: one.reason for one in report.failures} == {
        'bags/broken': 'damaged',
        'bags/empty': 'damaged',
        'gone': 'no_recording',
    }
    assert all(one.attempts == 1 for one in report.failures)
    manifest = json.loads((folder / 'out/manifest.json').read_text())
    assert [one['name'] for one in manifest['failures']] == ['bags/broken', 'bags/empty', 'gone']
    # They are not tried again before they change.
    again = process_fleet(fleet_job(['bags', 'gone'], 'out'), no_engine)
    assert len(again.failures) == 3
    (folder / 'bags/broken.mcap').write_bytes(
        (folder / 'bags/day_0/run_0/run_0.mcap').read_bytes()
    )
    assert [one.name for one in run(fleet_job(['bags'], 'out')).processed] == ['bags/broken']
    assert 'bags/broken' not in read_manifest(Address.parse('out')).failures


def test_a_lost_worker_is_replaced(folder):
    left = {'bags/day_0/run_0': 2}

    def change(name, result):
        if isinstance(result, dict) or not left.get(name):
            return result
        left[name] -= 1
        return WorkerLost('killed')

    engine = DirectEngine(change, where='node_1')
    report = run(fleet_job(['bags'], 'out'), engine)
    assert report.is_whole
    assert report.lost_workers == 2
    tries = [
        avoid for call, name, avoid in engine.calls if call == 'run_recording' and name in left
    ]
    # Where it failed it is not tried again.
    assert tries == [(), ('node_1',), ('node_1',)]


def test_what_always_fails_is_set_aside_with_its_reason(folder, monkeypatch):
    monkeypatch.setattr('robot_perception.fleet.driver._FIRST_DELAY_S', 0.0)

    def change(name, result):
        if name == 'bags/day_1/run_1' and not isinstance(result, dict):
            return Failure(name, name, 'cannot_write', 'no space', is_final=False)
        return result

    report = run(fleet_job(['bags'], 'out', retries=2), DirectEngine(change))
    (failure,) = report.failures
    assert (failure.reason, failure.attempts) == ('cannot_write', 3)
    assert len(report.processed) == 2


def test_no_worker_can_begin(folder):
    job = fleet_job(['bags'], 'out', {'detector.model': 'facebook/detr-resnet-50'})
    with pytest.raises(Exception, match='models pull') as caught:
        run(job)
    assert type(caught.value).__name__ == 'WeightsMissingError'


def test_another_job_does_not_mix_its_results(folder):
    run(fleet_job(['bags'], 'out'))
    before = results('out')
    other = {'detector.threshold': 0.9}
    with raises(OutputError, 'other_job') as caught:
        run(fleet_job(['bags'], 'out', other))
    assert 'parameters' in str(caught.value)
    assert results('out') == before
    report = run(fleet_job(['bags'], 'out', other, force=True))
    assert len(report.processed) == 3
    assert results('out') != before


def test_replaced_results_leave_nothing(folder):
    run(fleet_job(['bags'], 'out'))
    assert list((folder / 'out/dataset/features').iterdir())
    run(fleet_job(['bags/day_0'], 'out', {'features.enabled': False}, force=True))
    assert not (folder / 'out/bags/day_1').exists()
    tables = {path.parent.name for path in (folder / 'out/dataset').rglob('*.parquet')}
    assert tables == {f'recording=bags%2Fday_0%2Frun_{index}' for index in (0, 2)}
    assert not (folder / 'out/dataset/features').exists()


def test_a_smaller_result_leaves_no_table(folder):
    path = 'dataset/features/recording=bags%2Fday_0%2Frun_0/part-0.parquet'
    job = fleet_job(['bags/day_0/run_0'], 'out', {'features.enabled': False})
    run(job)
    # As of a worker that was killed before its entry.
    Address.parse('out').child(path).write(b'')
    (folder / 'out/bags/day_0/run_0/metadata.yaml').unlink()
    run(job)
    assert not (folder / 'out' / path).exists()


def test_recordings_may_have_the_names_of_folders_in_use(folder):
    names = ['tables', 'input', 'result']
    for name in names:
        (folder / 'bags/day_0/run_0').rename(folder / name)
        write_recordings('bags', 1)
    run(fleet_job(names, 'out'))
    for name, bag in result_bags(folder / 'out').items():
        assert len(list(read_results(bag))) == 4, name
    storage = fsspec.filesystem('memory')
    storage.put('input', '/input', recursive=True)
    try:
        assert run(fleet_job(['memory://input'], 'remote')).is_whole
        assert len(list(read_results(folder / 'remote/input'))) == 4
    finally:
        storage.rm('/input', recursive=True)


def test_a_killed_fleet_goes_on_with_its_runtimes(folder):
    found = []

    def change(_name, result):
        if not isinstance(result, dict):
            found.append(json.loads((folder / 'out/manifest.json').read_text())['backends'])
        return result

    run(fleet_job(['bags/day_0'], 'out'), DirectEngine(change))
    # Stubs have no runtime, which is known before the first recording is done.
    assert found
    assert all(one == read_manifest(Address.parse('out')).backends == {} for one in found)


def test_choosing_runtimes_is_tried_again_elsewhere(folder):
    lost = [WorkerLost('killed')]
    engine = DirectEngine(lambda _, result: lost.pop() if lost else result, where='node_1')
    report = run(fleet_job(['bags/day_1'], 'out'), engine)
    assert report.is_whole
    assert [avoid for call, _, avoid in engine.calls if call == 'probe_backends'] == [
        (),
        ('node_1',),
    ]


def test_a_recording_that_is_damaged_later_loses_its_result(folder):
    run(fleet_job(['bags'], 'out'))
    (folder / 'bags/day_1/run_1/metadata.yaml').unlink()
    (folder / 'bags/day_1/run_1/run_1.mcap').rename(folder / 'bags/day_1/run_1.mcap')
    (folder / 'bags/day_1/run_1.mcap').write_bytes(b'no bag')
    (failure,) = run(fleet_job(['bags'], 'out')).failures
    assert failure.name == 'bags/day_1/run_1'
    assert set(result_bags(folder / 'out')) == {'bags/day_0/run_0', 'bags/day_0/run_2'}
    assert len(list((folder / 'out/dataset/frames').iterdir())) == 2


def test_an_input_that_is_there_later_is_no_failure(folder):
    (failure,) = run(fleet_job(['bags', 'later'], 'out')).failures
    assert failure.name == 'later'
    write_recordings('later', 1)
    assert run(fleet_job(['bags', 'later'], 'out')).is_whole
    assert not read_manifest(Address.parse('out')).failures


def test_a_recording_that_changes_while_it_waits_or_is_read(folder):
    job = fleet_job(['bags'], 'out')
    os.utime(folder / 'bags/day_1/run_1/run_1.mcap', (1, 1))
    report = run(job)
    (failure,) = report.failures
    assert (failure.name, failure.reason, failure.attempts) == ('bags/day_1/run_1', 'changed', 1)
    assert len(report.processed) == 2
    assert 'bags/day_1/run_1' not in result_bags(folder / 'out')
    again = run(fleet_job(['bags'], 'out'))
    assert again.is_whole
    assert [one.name for one in again.processed] == ['bags/day_1/run_1']


def test_files_of_others_stay(folder):
    (folder / 'out').mkdir()
    (folder / 'out/thesis.pdf').touch()
    with raises(OutputError, 'exists'):
        run(fleet_job(['bags'], 'out'))
    assert [path.name for path in (folder / 'out').iterdir()] == ['thesis.pdf']


def test_one_fleet_at_a_time(folder):
    inside, ended = threading.Event(), threading.Event()

    class Slow(DirectEngine):
        def next_result(self, timeout_s):
            inside.set()
            assert ended.wait(60)
            return super().next_result(timeout_s)

    first = threading.Thread(target=run, args=(fleet_job(['bags'], 'out'), Slow()))
    first.start()
    try:
        assert inside.wait(60)
        with raises(OutputError, 'in_use'):
            run(fleet_job(['bags'], 'out'))
    finally:
        ended.set()
        first.join()
    assert len(process_fleet(fleet_job(['bags'], 'out'), no_engine).unchanged) == 3


def test_an_interrupted_fleet_keeps_what_is_done(folder):
    class Interrupted(DirectEngine):
        def next_result(self, timeout_s):
            # The worker has published its result; the fleet does not learn of it.
            if sum(call == 'run_recording' for call, *_ in self.calls) == 2:
                raise KeyboardInterrupt
            return super().next_result(timeout_s)

    with pytest.raises(KeyboardInterrupt):
        run(fleet_job(['bags'], 'out'), Interrupted())
    engine = DirectEngine()
    report = run(fleet_job(['bags'], 'out'), engine)
    assert len(report.unchanged) == 2
    assert [call for call in engine.calls if call[0] == 'run_recording'] == [
        ('run_recording', 'bags/day_1/run_1', ())
    ]


def test_scene_is_needed(folder):
    job = fleet_job(['bags'], 'out')
    with raises(ConfigError, 'missing_topic'):
        replace(job, bag=replace(job.bag, topics=('features',)))


def test_results_in_another_storage_equal_local_ones(folder, monkeypatch):
    # There is no other fleet.
    monkeypatch.setattr('robot_perception.fleet.lock._SETTLED_S', 0.0)
    storage = fsspec.filesystem('memory')
    storage.put('bags', '/robots/bags', recursive=True)
    try:
        report = run(fleet_job(['memory://robots/bags'], 'memory://robots/out'))
        assert len(report.processed) == 3
        storage.get('/robots/out', 'fetched', recursive=True)
        fetched = results('fetched')
        assert not any(name.startswith('.') for name in fetched)
        # The name of the recording is in the metadata; the results are not.
        run(fleet_job(['bags'], 'out'))
        for name, content in results('out').items():
            if not name.endswith('metadata.yaml'):
                there = name.replace('bags/', 'robots/bags/').replace('=bags', '=robots%2Fbags')
                assert fetched[there] == content, name
        again = process_fleet(
            fleet_job(['memory://robots/bags'], 'memory://robots/out'), no_engine
        )
        assert len(again.unchanged) == 3
    finally:
        storage.rm('/robots', recursive=True)
