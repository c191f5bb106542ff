"""Recordings in S3, and results there; moto's server stands in for it."""

import os

from bags import generated_frames, write_rgbd_bag
from fleets import DirectEngine, fleet_job, results, write_recordings
from moto.server import ThreadedMotoServer
import pytest
from reasons import raises
import s3fs

from robot_perception.core import OutputError
from robot_perception.fleet import Address, process_fleet, read_manifest
from robot_perception.fleet.dataset import table_path
from robot_perception.fleet.lock import locked

pytestmark = pytest.mark.slow

KEYS = {'AWS_ACCESS_KEY_ID': 'testing', 'AWS_SECRET_ACCESS_KEY': 'testing'}


@pytest.fixture(scope='module')
def server():
    server = ThreadedMotoServer(port=0)
    server.start()
    yield 'http://{}:{}'.format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def storage(server, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith('AWS_')]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('AWS_ENDPOINT_URL', server)
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    monkeypatch.setenv('AWS_CONFIG_FILE', str(tmp_path / 'none'))
    monkeypatch.setenv('AWS_SHARED_CREDENTIALS_FILE', str(tmp_path / 'none'))
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    # There is no other fleet.
    monkeypatch.setattr('robot_perception.fleet.lock._SETTLED_S', 0.0)
    s3fs.S3FileSystem.clear_instance_cache()
    storage = s3fs.S3FileSystem(use_listings_cache=False)
    storage.mkdir('robots')
    yield storage
    storage.rm('robots', recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def run(job, engine=None):
    return process_fleet(job, lambda _: engine or DirectEngine())


def test_results_equal_local_ones(storage):
    write_recordings('bags', 2)
    storage.put('bags', 'robots/bags', recursive=True)
    report = run(fleet_job(['s3://robots/bags'], 's3://robots/out'))
    assert report.is_whole
    assert len(report.processed) == 2
    storage.get('robots/out', 'fetched', recursive=True)
    fetched = results('fetched')
    run(fleet_job(['bags'], 'out'))
    for name, content in results('out').items():
        if not name.endswith('metadata.yaml'):
            there = name.replace('bags/', 'robots/bags/').replace('=bags', '=robots%2Fbags')
            assert fetched[there] == content, name
    again = run(fleet_job(['s3://robots/bags'], 's3://robots/out'))
    assert len(again.unchanged) == 2
    verified = run(fleet_job(['s3://robots/bags'], 's3://robots/out', verify=True))
    assert len(verified.unchanged) == 2


def test_missing_credentials_are_named_and_others_processed(storage, monkeypatch):
    write_rgbd_bag('bag', generated_frames(2))
    for name in KEYS:
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    report = run(fleet_job(['bag', 's3://robots/bags'], 'out'))
    assert [one.name for one in report.processed] == ['bag']
    (failure,) = report.failures
    assert failure.reason == 'no_access'
    assert 'AWS_ACCESS_KEY_ID' in failure.text
    with raises(Exception, 'no_access'):
        run(fleet_job(['bag'], 's3://robots/out'))


def test_a_bucket_that_is_not_there(storage):
    write_rgbd_bag('bag', generated_frames(2))
    (failure,) = run(fleet_job(['bag', 's3://elsewhere/bags'], 'out')).failures
    assert failure.source == 's3://elsewhere/bags'


def test_one_fleet_at_a_time(storage, monkeypatch):
    output = Address.parse('s3://robots/out')
    with locked(output), raises(OutputError, 'in_use'), locked(output):
        pass
    assert not storage.find('robots')
    # A fleet that ended without removing its lock holds it for a while only.
    monkeypatch.setattr('robot_perception.fleet.lock.socket.gethostname', lambda: 'other')
    monkeypatch.setattr('robot_perception.fleet.lock._WATCHED_S', 0.0)
    storage.pipe('robots/out/.lock', b'{"host": "gone", "time_s": 1.0}')
    with locked(output):
        assert b'other' in storage.cat('robots/out/.lock')
    assert not storage.find('robots')


def test_names_with_marks_of_addresses(storage):
    names = ['run #1?x=1&y', '[2] Küche+茶%20{x}']
    write_rgbd_bag('bag', generated_frames(1))
    for name in names:
        storage.put('bag', f'robots/bags/{name}', recursive=True)
    expected = {f'robots/bags/{name}' for name in names}
    report = run(fleet_job(['s3://robots/bags'], 's3://robots/out'))
    assert {one.name for one in report.processed} == expected
    for name in expected:
        assert storage.exists(f'robots/out/{name}/metadata.yaml')
        assert storage.exists(f'robots/out/{table_path("objects", name)}')
    one = fleet_job([f's3://robots/bags/{name}' for name in names], 's3://robots/out')
    assert len(run(one).unchanged) == len(names)


def test_a_smaller_result_leaves_nothing_of_a_larger_one(storage):
    write_rgbd_bag('bag', generated_frames(4))
    first = fleet_job(['bag'], 's3://robots/out')
    first = type(first)(first.recordings, first.output, split(first.bag, 1))
    run(first)
    assert len(storage.ls('robots/out/bag')) == 5
    second = type(first)(first.recordings, first.output, split(first.bag, 4), force=True)
    run(second)
    assert len(storage.ls('robots/out/bag')) == 2
    assert set(read_manifest(first.output).entries) == {'bag'}


def split(bag, images):
    return type(bag)((), bag.output, bag.config, split=images)
