"""`robot-perception compare`: two result bags, and bad arguments."""

from dataclasses import replace
import json

from fleets import write_output
import numpy as np
import pytest
from result_bags import write_result_bag
from scenes import example_scene
import yaml

from robot_perception.cli.main import main
from robot_perception.core import Image, MetricDepth

pytestmark = pytest.mark.slow


def scene(seed=0):
    made = example_scene(seed)
    objects = tuple(replace(item, track_id=None) for item in made.objects)
    return replace(made, image=Image(made.image.rgb, (seed + 1) * 10**9, 'eye'), objects=objects)


@pytest.fixture
def bag(tmp_path):
    def write(name, scenes, **options):
        return write_result_bag(tmp_path / name, scenes, **options)

    return write


def run(*arguments):
    return main(['compare', *map(str, arguments)])


def test_equal(bag, tmp_path, capsys):
    first, second = bag('a', [scene(0), scene(1)]), bag('b', [scene(0), scene(1)])
    assert run(first, second, '--json', tmp_path / 'out.json') == 0
    printed = capsys.readouterr().out
    assert printed.endswith(
        '2 frames in both, 0 only in the first, 0 only in the second\nequal within the limits\n'
    )
    assert json.loads((tmp_path / 'out.json').read_text())['same'] is True


def test_different(bag, tmp_path, capsys):
    other = replace(scene(1), depth=MetricDepth(scene(1).depth.meters * np.float32(1.04)))
    first, second = bag('a', [scene(0), scene(1)]), bag('b', [scene(0), other])
    assert run(first, second, '--json', tmp_path / 'out.json') == 4
    assert 'DIFFERENT' in capsys.readouterr().out
    rows = {row['name']: row for row in json.loads((tmp_path / 'out.json').read_text())['rows']}
    assert rows['depth']['mean'] == pytest.approx(0.02, rel=1e-4)
    assert rows['depth']['worst_stamp_ns'] == 2 * 10**9
    assert [name for name, row in rows.items() if row['same'] is False] == ['depth']
    assert run(first, second, '--max-depth', 0.03) == 0


def test_another_runtime_is_named(bag, tmp_path, capsys):
    bags = [bag(name, [scene(0)]) for name in 'ab']
    for path, runtime in zip(bags, ('torch fp32', 'openvino fp32'), strict=True):
        file = path / 'metadata.yaml'
        content = yaml.safe_load(file.read_text())
        content['rosbag2_bagfile_information']['custom_data'] = {
            'robot_perception.runtime.depth': runtime,
            'robot_perception.runtime.detector': 'torch fp32',
        }
        file.write_text(yaml.safe_dump(content))
    assert run(*bags, '--json', tmp_path / 'out.json') == 0
    assert (
        'depth: computed with torch fp32 in the first, openvino fp32 in the second\n'
        in capsys.readouterr().out
    )
    found = json.loads((tmp_path / 'out.json').read_text())['different_runtimes']
    assert found == {'depth': ['torch fp32', 'openvino fp32']}


def test_frames_missing_in_one(bag):
    first, second = bag('a', [scene(0), scene(1)]), bag('b', [scene(0)])
    assert run(first, second) == 4
    assert run(first, second, '--max-unpaired', 0.5) == 0


def test_another_node(bag):
    first = bag('a', [scene()], node='/eyes')
    assert run(first, first, '--node', 'eyes') == 0
    assert run(first, first) == 1


def test_bags_of_two_recordings(bag, capsys):
    assert run(bag('a', [scene(0)]), bag('b', [scene(1)])) == 1
    assert (
        'expected frames with the same time stamps, got none among 1 and 1'
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--min-box-iou', 'nan'), '--min-box-iou: expected a number of 0 or more, got nan'),
        (('--max-depth=-1',), '--max-depth: expected a number of 0 or more, got -1.0'),
        (('--max-slowdown', 'inf'), '--max-slowdown: expected'),
    ],
)
def test_bad_arguments(bag, capsys, arguments, message):
    path = bag('a', [scene()])
    assert run(path, path, *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_file_of_results_in_no_folder(bag, capsys):
    path = bag('a', [scene()])
    assert run(path, path, '--json', 'nowhere/out.json') == 1
    assert '--json: expected a file in an existing folder' in capsys.readouterr().err


def test_a_missing_bag(bag, tmp_path, capsys):
    assert run(bag('a', [scene()]), tmp_path / 'nothing') == 1
    assert 'nothing: expected a bag, got nothing there' in capsys.readouterr().err


def test_outputs_of_two_fleets(bag, tmp_path, capsys):
    other = replace(scene(1), depth=MetricDepth(scene(1).depth.meters * np.float32(1.04)))
    first = write_output(tmp_path / 'a', {'day/x': [scene(0)], 'day/y': [scene(0), scene(1)]})
    second = write_output(tmp_path / 'b', {'day/x': [scene(0)], 'day/y': [scene(0), other]})
    assert run(first, first) == 0
    table = capsys.readouterr().out.partition('all recordings')[0]
    assert table.count('  same') == 2
    assert run(first, second, '--json') == 4
    document = json.loads(capsys.readouterr().out)
    assert not document['same']
    assert {name: one['same'] for name, one in document['recordings'].items()} == {
        'day/x': True,
        'day/y': False,
    }
    # Overall are all frames of all recordings.
    (depth,) = (row for row in document['rows'] if row['name'] == 'depth')
    assert depth['mean'] == pytest.approx(0.04 / 3, rel=1e-4)
    assert run(first, second) == 4
    assert 'DIFFERS: depth, relative difference' in capsys.readouterr().out
    assert run(first, bag('single', [scene(0)])) == 2
    assert 'outputs of two fleets, got one of each' in capsys.readouterr().err


def test_a_recording_that_one_fleet_lacks(tmp_path, capsys):
    first = write_output(tmp_path / 'a', {'x': [scene(0)], 'y': [scene(0)]})
    second = write_output(tmp_path / 'b', {'x': [scene(0)]})
    assert run(first, second, '--json') == 4
    document = json.loads(capsys.readouterr().out)
    assert document['frames'] == {'both': 1, 'only_first': 1, 'only_second': 0}
