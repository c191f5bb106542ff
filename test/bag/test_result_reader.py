"""Scenes written to a bag are read back unchanged."""

from dataclasses import replace
from pathlib import Path
import tracemalloc

import cv2
import numpy as np
import pytest
from reasons import raises
from result_bags import write_result_bag
from scenes import example_scene

from robot_perception.bag import read_results
from robot_perception.core import Image
from robot_perception.core.errors import SourceError
from robot_perception.sources.bag_writer import BagWriter

pytestmark = pytest.mark.slow

PERIOD_NS = 33_333_333


def scenes(count, size_hw=(48, 64), **changes):
    made = []
    for seed in range(count):
        scene = example_scene(seed, size_hw)
        stamp_ns = scene.image.stamp_ns + seed * PERIOD_NS
        objects = tuple(replace(item, track_id=None) for item in scene.objects)
        image = Image(scene.image.rgb, stamp_ns, 'eye')
        made.append(replace(scene, image=image, objects=objects, **changes))
    return made


# A bag that version 0.1.0 wrote, whose Scene had fewer fields.
EARLIER = Path(__file__).parent / 'results_0_1_0.mcap'


@pytest.mark.parametrize('version', ['earlier', 'this'])
def test_scenes_are_read_back(tmp_path, version):
    expected = scenes(2, (24, 32))
    earlier = version == 'earlier'
    path = EARLIER if earlier else write_result_bag(tmp_path / 'bag', expected)
    found = list(read_results(path))
    for one, true in zip(found, expected, strict=True):
        scene = one.scene
        assert one.stamp_ns == true.image.stamp_ns
        assert scene.image.frame_id == 'eye'
        assert not one.has_image
        assert np.ptp(scene.image.rgb) == 0
        assert scene.image.size_hw == true.image.size_hw
        assert scene.camera == true.camera
        assert np.array_equal(scene.depth.meters, true.depth.meters, equal_nan=True)
        assert np.array_equal(scene.masks.pixels, true.masks.pixels)
        assert scene.detections.boxes_xyxy == pytest.approx(true.detections.boxes_xyxy, rel=1e-6)
        assert scene.detections.class_names == true.detections.class_names
        assert np.array_equal(scene.features.vector, true.features.vector)
        assert scene.features.grid_hw == (0, 0)
        assert [one.centroid_m for one in scene.objects] == [
            one.centroid_m for one in true.objects
        ]
        for item, true_item in zip(scene.objects, true.objects, strict=True):
            if true_item.position is not None:
                np.testing.assert_allclose(
                    item.position.points_covariance_m2,
                    true_item.position.points_covariance_m2,
                    rtol=1e-12,
                )
        assert scene.timing_s == pytest.approx(true.timing_s, rel=1e-6)


@pytest.mark.parametrize('compression', ['none', 'storage'])
def test_recorded_images_and_patches_are_attached(tmp_path, compression):
    expected = scenes(3)
    path = write_result_bag(
        tmp_path / 'bag',
        expected,
        topics=('features', 'scene', 'overlay', 'masks/instances'),
        pictures=expected,
        compression=compression,
    )
    for one, true in zip(read_results(path), expected, strict=True):
        assert one.has_image
        assert np.array_equal(one.scene.image.rgb, true.image.rgb)
        assert np.array_equal(one.scene.features.vector, true.features.vector)


def test_each_scene_gets_the_image_of_its_stamp(tmp_path):
    every = scenes(4)
    path = write_result_bag(tmp_path / 'bag', every[1::2], pictures=every)
    for one, true in zip(read_results(path), every[1::2], strict=True):
        assert np.array_equal(one.scene.image.rgb, true.image.rgb)
    path = write_result_bag(tmp_path / 'less', every, pictures=every[1::2])
    assert [one.has_image for one in read_results(path)] == [False, True] * 2


def test_an_image_of_another_size_is_ignored(tmp_path):
    path = write_result_bag(tmp_path / 'bag', scenes(1), pictures=scenes(1, (24, 32)))
    (one,) = read_results(path)
    assert (one.has_image, one.scene.image.size_hw) == (False, (48, 64))


def test_results_of_disabled_stages_are_none(tmp_path):
    bare = scenes(1, features=None, depth=None, camera=None, masks=None, timing_s={})
    (one,) = read_results(write_result_bag(tmp_path / 'bag', bare))
    scene = one.scene
    assert (scene.features, scene.depth, scene.camera, scene.masks) == (None,) * 4
    assert len(scene.detections) == 3


def test_another_node(tmp_path):
    path = write_result_bag(tmp_path / 'bag', scenes(1), node='/robot/eyes')
    assert len(list(read_results(path, '/robot/eyes/'))) == 1
    with raises(SourceError, 'no_results', match='results of /robot/eyes: name that node'):
        list(read_results(path))


def test_a_bag_without_scenes(tmp_path):
    path = write_result_bag(tmp_path / 'bag', scenes(1), topics=('detections', 'timing'))
    with raises(SourceError, 'no_results', match='got /perception/detections, '):
        list(read_results(path))
    with BagWriter(tmp_path / 'empty'):
        pass
    with raises(SourceError, 'no_results', match='no message at all'):
        list(read_results(tmp_path / 'empty'))
    with raises(SourceError, 'missing_file', match='got nothing there'):
        list(read_results(tmp_path / 'nowhere'))
    with raises(SourceError, 'missing_file', match='got a device or a pipe'):
        list(read_results(Path('/dev/null')))


def test_decreasing_stamps(tmp_path):
    first, second = scenes(2)
    again = replace(first, image=Image(first.image.rgb, second.image.stamp_ns, 'eye'))
    path = write_result_bag(tmp_path / 'bag', [first, second, again])
    read = read_results(path)
    assert [next(read).stamp_ns, next(read).stamp_ns] == [
        first.image.stamp_ns,
        second.image.stamp_ns,
    ]
    with raises(SourceError, 'decreasing_stamps'):
        next(read)


def test_an_unknown_image_topic(tmp_path):
    path = write_result_bag(tmp_path / 'bag', scenes(1), pictures=scenes(1))
    with raises(SourceError, 'unknown_topic'):
        list(read_results(path, image_topic='/other'))


def test_a_damaged_message(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/perception/scene', 'std_msgs/msg/String', b'\x00\x01\x00\x00\xff', 1)
    with raises(SourceError, 'broken_message'):
        list(read_results(tmp_path / 'bag'))


def test_a_truncated_file_yields_its_readable_scenes(tmp_path):
    every = scenes(12, (120, 160))
    path = write_result_bag(tmp_path / 'bag', every, pictures=every)
    (file,) = path.glob('*.mcap')
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    found = []
    with raises(SourceError, 'damaged'):
        found.extend(read_results(file))
    assert 3 <= len(found) < 12


def test_memory_does_not_grow_with_the_bag(tmp_path):
    peaks, sizes = [], []
    for count in (15, 60):
        every = scenes(count, (120, 160))
        path = write_result_bag(tmp_path / str(count), every, pictures=every)
        del every
        tracemalloc.start()
        assert sum(one.has_image for one in read_results(path)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(sum(file.stat().st_size for file in path.iterdir()))
    assert peaks[1] - peaks[0] < 0.1 * (sizes[1] - sizes[0])


def test_pictures_are_refused_with_the_command_that_processes_them(tmp_path):
    path = tmp_path / 'photo.png'
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    with raises(SourceError, 'no_results', match='robot-perception bag .*photo.png -o results'):
        next(read_results(path))
    (tmp_path / 'text').write_text('no recording')
    with raises(SourceError, 'not_a_bag'):
        next(read_results(tmp_path / 'text'))
