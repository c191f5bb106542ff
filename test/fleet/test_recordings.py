"""Which recordings paths and addresses name, and the names of their results."""

from bags import generated_frames, write_rgbd_bag
import fsspec
import pytest
from reasons import raises

from robot_perception.core import ConfigError
from robot_perception.fleet import Address, find_recordings

OUTPUT = Address.parse('/elsewhere/results')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('bags/a', 'bags/day/b', 'bags/day/.hidden/c'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_rgbd_bag(tmp_path / name, generated_frames(1))
    (tmp_path / 'bags/day/single.mcap').write_bytes(b'')
    (tmp_path / 'bags/day/packed.DB3.zstd').write_bytes(b'')
    (tmp_path / 'bags/notes.txt').write_text('nothing of a bag')
    return tmp_path


def names(*specs):
    return [one.name for one in find_recordings(map(str, specs), OUTPUT)]


def test_bags_of_a_folder_at_any_depth(folder):
    below = ['bags/a', 'bags/day/b', 'bags/day/packed', 'bags/day/single']
    assert names('bags') == below
    assert names('bags/') == below
    assert names('./bags/a', 'bags/day') == below
    absolute = str(folder).strip('/')
    assert names(folder / 'bags') == [f'{absolute}/{name}' for name in below]


def test_one_bag_or_file(folder):
    assert names('bags/a') == ['bags/a']
    assert names('bags/day/single.mcap') == ['bags/day/single']
    assert names('bags/a', 'bags') == names('bags')


def test_patterns(folder):
    assert names('bags/d*/b') == ['bags/day/b']
    (folder / 'bags' / 'x[1]').mkdir()
    write_rgbd_bag(folder / 'bags' / 'x[1]' / 'run', generated_frames(1))
    assert names('bags/x[1]') == ['bags/x[1]/run']


def test_files_have_size_and_time(folder):
    (one,) = find_recordings(['bags/a'], OUTPUT)
    expected = {path.name: path.stat() for path in (folder / 'bags/a').iterdir()}
    assert {file.path: file.size for file in one.files} == {
        name: facts.st_size for name, facts in expected.items()
    }
    for file in one.files:
        assert file.modified_ns == expected[file.path].st_mtime_ns


def test_links_are_followed_and_do_not_lead_in_circles(folder):
    (folder / 'links').mkdir()
    (folder / 'links/run').symlink_to(folder / 'bags/a')
    (folder / 'links/again').symlink_to(folder / 'bags/a')
    (folder / 'links/back').symlink_to(folder / 'links')
    assert names('links') == ['links/again']
    # However it is named.
    assert names('links/*', 'bags/a') == ['links/again']
    assert names('links/r*', 'links') == ['links/run']
    assert names('bags/a', 'links/*') == ['bags/a']


def test_what_is_not_there_is_a_problem_of_its_own(folder):
    lost, found = find_recordings(['gone', 'bags/a'], OUTPUT)[::-1]
    assert found.problem is None
    assert lost.problem.reason == 'no_recording'
    assert 'gone' in str(lost.problem)


def test_two_recordings_of_one_name(folder):
    write_rgbd_bag(folder / 'bags/day/single', generated_frames(1))
    with raises(ConfigError, 'same_name'):
        names('bags')


def test_a_recording_that_is_named_twice_is_there_once(folder):
    twice = ['bags/a', 'bags/day/single']
    assert names('bags/a', 'bags/*', folder / 'bags/a', f'file://{folder}/bags/a')[0] == 'bags/a'
    assert names('bags/d*/single.mcap', folder / 'bags/day/single.mcap', 'bags/a') == twice
    assert names(folder / 'bags/a', 'bags/a') == [f'{folder}/bags/a'.strip('/')]
    assert names('gone', 'gone', folder / 'gone') == ['gone']


def test_a_recording_in_the_folder_of_another(folder):
    with raises(ConfigError, 'nested_recordings'):
        names('bags/a', 'bags/a/a.mcap')
    write_rgbd_bag(folder / 'bags/a/more/inner', generated_frames(1))
    with raises(ConfigError, 'nested_recordings') as caught:
        names('bags')
    assert all(str(folder / name) in str(caught.value) for name in ('bags/a', 'bags/a/more/inner'))
    assert names('bags/a/more') == ['bags/a/more/inner']


@pytest.mark.parametrize('name', ['dataset', 'dataset/frames/run', 'manifest.json/run'])
def test_a_result_in_the_place_of_a_file_of_the_output(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_rgbd_bag(folder / name, generated_frames(1))
    with raises(ConfigError, 'reserved_name'):
        names(name)
    assert len(names(folder / name)) == 1
    write_rgbd_bag(folder / 'dataset/run', generated_frames(1))
    assert names('dataset/run') == ['dataset/run']


@pytest.mark.parametrize(
    ('spec', 'output'),
    [
        ('bags/*', 'bags/results'),
        ('bags/*', 'bags/results/today'),
        ('**/a', 'results'),
        ('results/*', 'results'),
        ('linked', 'bags'),
        ('bags', 'linked'),
        ('linked/*', 'bags/results'),
        ('bags/*', 'linked/results'),
        ('linked/d*/b', 'bags/day/b/results'),
        ('links/*', 'bags/results'),
        ('links/*', 'bags'),
    ],
)
def test_an_output_that_a_pattern_or_a_link_names(folder, spec, output):
    (folder / 'linked').symlink_to(folder / 'bags')
    (folder / 'links').mkdir()
    (folder / 'links/run').symlink_to(folder / 'bags')
    with raises(ConfigError, 'overlapping_paths'):
        find_recordings([spec], Address.parse(output))
    assert find_recordings(['b*/*'], Address.parse('results'))


@pytest.mark.parametrize('output', ['bags', 'bags/results', '.'])
def test_an_output_is_apart_from_the_inputs(folder, output):
    with raises(ConfigError, 'overlapping_paths'):
        find_recordings(['bags'], Address.parse(output))


def test_addresses_of_another_storage():
    storage = fsspec.filesystem('memory')
    storage.pipe('/robots/day/run/metadata.yaml', b'x')
    storage.pipe('/robots/day/run/run_0.mcap', b'xyz')
    storage.pipe('/robots/day/loose.mcap', b'')
    try:
        found = find_recordings(['memory://robots/day'], OUTPUT)
        assert [(one.name, str(one.source)) for one in found] == [
            ('robots/day/loose', 'memory://robots/day/loose.mcap'),
            ('robots/day/run', 'memory://robots/day/run'),
        ]
        assert [(file.path, file.size) for file in found[1].files] == [
            ('metadata.yaml', 1),
            ('run_0.mcap', 3),
        ]
        assert names('memory://robots/d*') == [one.name for one in found]
    finally:
        storage.rm('/robots', recursive=True)


@pytest.mark.parametrize('address', ['nosuch://bucket/bags', 's4://bucket'])
def test_an_unknown_storage_is_named(address):
    (one,) = find_recordings([address], OUTPUT)
    assert one.problem.reason == 'no_access'
    assert 'is no storage' in str(one.problem)
