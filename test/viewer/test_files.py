from dataclasses import replace
import json

import numpy as np
from PIL import Image as PillowImage
import pytest
from reasons import raises
from scenes import example_scene

from robot_perception.core import Image, Scene, SceneFeatures
from robot_perception.core.errors import OutputError
from robot_perception.viewer import draw_instances, draw_overlay, write_picture, write_scene

ALL = [
    'kitchen_overlay.png',
    'kitchen_depth.png',
    'kitchen_features.png',
    'kitchen_instances.png',
    'kitchen_cloud.png',
    'kitchen.ply',
    'kitchen_scene.json',
]


def test_everything_is_written_and_named(tmp_path):
    paths = write_scene(example_scene(0), tmp_path / 'new' / 'folder', 'kitchen')
    assert [path.name for path in paths] == ALL
    assert sorted(paths) == sorted((tmp_path / 'new' / 'folder').iterdir())
    assert all(path.stat().st_size > 0 for path in paths)


def test_pictures_are_exact(tmp_path):
    scene = example_scene(0, (60, 80))
    write_scene(scene, tmp_path, 'kitchen')
    for name, expected in (
        ('overlay', draw_overlay(scene)),
        ('instances', draw_instances(scene.masks, scene.objects)),
    ):
        with PillowImage.open(tmp_path / f'kitchen_{name}.png') as picture:
            assert picture.mode == 'RGB'
            np.testing.assert_array_equal(np.asarray(picture), expected)


@pytest.mark.parametrize(
    ('scene', 'names'),
    [
        (
            Scene(image=Image(np.zeros((4, 5, 3), np.uint8))),
            ['kitchen_overlay.png', 'kitchen_scene.json'],
        ),
        (
            example_scene(0, relative=True),
            [name for name in ALL if name not in {'kitchen_cloud.png', 'kitchen.ply'}],
        ),
        (example_scene(0, (1, 1), 0), ALL),
    ],
    ids=['image only', 'relative depth', 'one pixel'],
)
def test_what_the_scene_lacks_is_not_written(tmp_path, scene, names):
    assert [path.name for path in write_scene(scene, tmp_path, 'kitchen')] == names


def test_features_without_patches_have_no_picture(tmp_path):
    vector = np.ones(5, np.float32)
    features = SceneFeatures('stub', vector, np.zeros((0, 0, 5), np.float32))
    scene = replace(example_scene(0), features=features)
    names = [path.name for path in write_scene(scene, tmp_path, 'kitchen')]
    assert names == [name for name in ALL if name != 'kitchen_features.png']


def test_writing_again_replaces(tmp_path):
    write_scene(example_scene(0), tmp_path, 'kitchen')
    write_scene(example_scene(0, count=1), tmp_path, 'kitchen')
    written = json.loads((tmp_path / 'kitchen_scene.json').read_text())
    assert len(written['objects']) == 1
    assert len(list(tmp_path.iterdir())) == len(ALL)


@pytest.mark.parametrize('stem', ['', '.', 'a/b', '/a', '../a'])
def test_a_stem_that_is_a_path_is_refused(tmp_path, stem):
    with raises(OutputError, 'bad_name'):
        write_scene(example_scene(0), tmp_path / 'folder', stem)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_reported_and_leaves_no_partial_file(tmp_path, full_disk):
    scene = example_scene(0, (60, 80))
    with full_disk(4000), raises(OutputError, 'cannot_write', match='png'):
        write_scene(scene, tmp_path, 'kitchen')
    assert not list(tmp_path.glob('.*'))
    for path in tmp_path.glob('*.png'):
        with PillowImage.open(path) as picture:
            picture.load()


def test_a_file_with_the_name_of_the_folder_is_reported(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    with raises(OutputError, 'cannot_write'):
        write_scene(example_scene(0), tmp_path / 'file', 'kitchen')


def test_a_picture_in_a_missing_folder_is_reported(tmp_path):
    with raises(OutputError, 'cannot_write'):
        write_picture(np.zeros((2, 2, 3), np.uint8), tmp_path / 'none' / 'a.png')
