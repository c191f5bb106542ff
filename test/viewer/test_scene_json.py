from dataclasses import replace
import json

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest
from reasons import raises
from scenes import example_scene

from robot_perception.core import Image, MetricDepth, Scene, SceneClasses
from robot_perception.core.errors import OutputError
from robot_perception.viewer import scene_to_dict, write_scene_json
from robot_perception.viewer.scene_json import _median


def decode(rle):
    """Decode COCO's uncompressed RLE pixel by pixel."""
    height, width = rle['size']
    mask = [[False] * width for _ in range(height)]
    index, inside = 0, False
    for count in rle['counts']:
        for _ in range(count):
            mask[index % height][index // height] = inside
            index += 1
        inside = not inside
    assert index == height * width
    return np.array(mask, np.bool_).reshape(height, width)


def refuse(constant):
    raise AssertionError(f'{constant} is not JSON')


def read(path):
    return json.loads(path.read_text(encoding='utf-8'), parse_constant=refuse)


@pytest.mark.parametrize('relative', [False, True])
@pytest.mark.parametrize('count', [0, 4])
def test_the_file_is_json_and_equals_the_dict(tmp_path, relative, count):
    scene = example_scene(0, count=count, relative=relative)
    write_scene_json(scene, tmp_path / 'scene.json')
    assert read(tmp_path / 'scene.json') == scene_to_dict(scene)


def test_each_part_has_the_values_of_the_scene():
    scene = replace(example_scene(1, (48, 64), 3), backends={'depth': 'torch bf16'})
    written = scene_to_dict(scene)
    assert written['schema'] == 'robot_perception/scene'
    assert written['version'] == 1
    assert written['image'] == {
        'height': 48,
        'width': 64,
        'stamp_ns': 1_700_000_000_123_456_789,
        'frame_id': 'eye',
    }
    assert written['camera']['fx'] == pytest.approx(scene.camera.fx, rel=1e-5)
    assert written['camera']['distortion'] == []
    assert list(written['timing_s'].items()) == [
        ('features', 0.012346),
        ('depth', 0.05),
        ('detector', 0.04),
        ('masks', 0.03),
    ]
    assert written['backends'] == {'depth': 'torch bf16'}
    assert written['features']['model'] == 'stub/encoder'
    assert written['features']['grid'] == [4, 5]
    np.testing.assert_allclose(written['features']['vector'], scene.features.vector, rtol=1e-5)
    meters = scene.depth.meters
    assert written['depth'] == {
        'kind': 'metric',
        'unit': 'm',
        'min': round(float(np.nanmin(meters)), 4),
        'median': round(float(np.nanmedian(meters)), 4),
        'max': round(float(np.nanmax(meters)), 4),
        'known_share': round(float(np.isfinite(meters).mean()), 4),
    }


def test_each_object_has_the_known_values():
    scene = example_scene(1, (48, 64), 3)
    written = scene_to_dict(scene)['objects']
    for number, item in enumerate(scene.objects):
        entry = written[number]
        assert entry['index'] == number
        assert entry['class_name'] == item.class_name
        assert entry['class_id'] == item.class_id
        assert entry['track_id'] == item.track_id
        assert entry['score'] == pytest.approx(item.score, abs=5e-5)
        np.testing.assert_allclose(entry['box_xyxy'], item.box_xyxy, atol=0.005)
        mask = scene.masks.pixels[number]
        assert entry['mask']['area'] == mask.sum()
        np.testing.assert_array_equal(decode(entry['mask']['rle']), mask)
    placed, lost = scene.objects[0].position, written[2]
    np.testing.assert_allclose(written[0]['depth_m'], placed.depth_m, atol=5e-5)
    np.testing.assert_allclose(written[0]['centroid_m'], placed.centroid_m, atol=5e-5)
    for key in ('covariance_m2', 'points_covariance_m2'):
        np.testing.assert_allclose(written[0][key], getattr(placed, key))
    assert written[0]['covariance_calibrated'] is True
    np.testing.assert_allclose(written[0]['box_3d']['center_m'], placed.box.center_m, atol=5e-5)
    assert written[0]['box_3d']['size_m'] == [0.2, 0.3, 0.1]
    assert written[0]['box_3d']['rotation_xyzw'] == [0, 0, 0, 1]
    for key in ('depth_m', 'centroid_m', 'covariance_m2', 'points_covariance_m2', 'box_3d'):
        assert lost[key] is None


def test_what_the_scene_lacks_is_null(tmp_path):
    bare = Scene(image=Image(np.zeros((2, 3, 3), np.uint8)))
    write_scene_json(bare, tmp_path / 'scene.json')
    written = read(tmp_path / 'scene.json')
    assert {key for key, value in written.items() if value is None} == {
        'camera',
        'features',
        'depth',
        'depth_source',
        'scene_classes',
        'objects',
        'semantics',
    }
    assert written['timing_s'] == {}
    no_masks = replace(example_scene(0), masks=None)
    assert [entry['mask'] for entry in scene_to_dict(no_masks)['objects']] == [None] * 3


def test_numbers_that_are_not_known_are_null_and_never_nan(tmp_path):
    scene = example_scene(0, (4, 5), 1)
    position = replace(
        example_scene(0).objects[0].position,
        depth_m=float('nan'),
        centroid_m=(float('nan'), 1.0, float('inf')),
        points_covariance_m2=np.full((3, 3), np.nan),
    )
    scene = replace(
        scene,
        depth=MetricDepth(np.full((4, 5), np.nan, np.float32)),
        objects=(replace(scene.objects[0], position=position),),
        timing_s={'depth': float('nan')},
    )
    write_scene_json(scene, tmp_path / 'scene.json')
    written = read(tmp_path / 'scene.json')
    assert written['depth']['median'] is None
    assert written['depth']['known_share'] == 0
    assert written['objects'][0]['depth_m'] is None
    assert written['objects'][0]['centroid_m'] == [None, 1.0, None]
    assert written['objects'][0]['points_covariance_m2'] == [[None] * 3] * 3
    assert written['timing_s'] == {'depth': None}


def test_relative_depth_has_no_unit():
    written = scene_to_dict(example_scene(0, relative=True))['depth']
    assert written['kind'] == 'relative'
    assert written['unit'] is None
    assert written['known_share'] == 1


def test_names_in_any_script_survive(tmp_path):
    scene = example_scene(0, count=1)
    named = replace(scene, objects=(replace(scene.objects[0], class_name='杯 "ü"\n'),))
    write_scene_json(named, tmp_path / 'scene.json')
    assert read(tmp_path / 'scene.json')['objects'][0]['class_name'] == '杯 "ü"\n'
    assert '杯' in (tmp_path / 'scene.json').read_text(encoding='utf-8')


def test_a_missing_folder_is_reported(tmp_path):
    with raises(OutputError, 'cannot_write'):
        write_scene_json(example_scene(0), tmp_path / 'none' / 'scene.json')


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(0, 1e4, width=32) | st.sampled_from([1.5, float('nan')]),
    )
)
def test_the_median_is_that_of_the_known_values(values):
    known = values[~np.isnan(values)]
    assume(known.size)
    assert _median(values, known.size) == np.median(known)


def test_classes_of_the_image():
    classes = SceneClasses('clip', ('kitchen', 'office'), np.array([0.90625, 0.09375], np.float32))
    written = scene_to_dict(replace(example_scene(0), scene_classes=classes))['scene_classes']
    assert written == {
        'model': 'clip',
        'classes': [
            {'class_name': 'kitchen', 'score': 0.9062},
            {'class_name': 'office', 'score': 0.0938},
        ],
    }
