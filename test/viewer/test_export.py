"""Files for other programs, opened with other programs' libraries."""

from dataclasses import replace
import json

import numpy as np
import open3d
from PIL import Image as PillowImage
import pytest
from reasons import raises
from scenes import example_scene

from robot_perception.core import Image, MetricDepth, Scene, Semantics
from robot_perception.core.errors import OutputError
from robot_perception.viewer import Exporter, Kind
from robot_perception.viewer.export import to_millimeters

STEM = '000007_1700000000123456789'


@pytest.fixture
def export(tmp_path):
    def write(scene, *kinds, frame=7):
        exporter = Exporter(tmp_path / 'out', kinds or list(Kind))
        exporter.add(scene, frame)
        exporter.finish()
        return tmp_path / 'out', exporter

    return write


def read_png(path, mode):
    with PillowImage.open(path) as picture:
        assert picture.mode == mode
        return np.asarray(picture)


def test_every_kind_holds_the_values_of_the_scene(export):
    scene = example_scene(0)
    pixels = np.arange(scene.depth.meters.size, dtype=np.uint16) % 2
    semantics = Semantics('m', pixels.reshape(scene.image.size_hw), ('wall', 'floor'))
    scene = replace(scene, semantics=semantics)
    folder, exporter = export(scene)
    np.testing.assert_array_equal(read_png(folder / f'images/{STEM}.png', 'RGB'), scene.image.rgb)
    meters = np.load(folder / f'depth_npy/{STEM}.npy')
    assert meters.dtype == np.float32
    np.testing.assert_array_equal(meters, scene.depth.meters)
    millimeters = read_png(folder / f'depth_png/{STEM}.png', 'I;16')
    known = np.isfinite(meters)
    np.testing.assert_array_equal(millimeters > 0, known)
    assert np.abs(millimeters[known] / 1000 - meters[known]).max() <= 0.000501
    instances = read_png(folder / f'instances/{STEM}.png', 'I;16')
    np.testing.assert_array_equal(instances, scene.masks.instance_map())
    classes = read_png(folder / f'classes/{STEM}.png', 'I;16')
    names = json.loads((folder / 'classes/classes.json').read_text())
    for item in scene.objects:
        (value,) = np.unique(classes[instances == item.index + 1])
        assert names[str(value)] == item.class_name
    assert not classes[instances == 0].any()
    classes = read_png(folder / f'semantics/{STEM}.png', 'I;16')
    np.testing.assert_array_equal(classes, semantics.classes)
    cloud = open3d.io.read_point_cloud(str(folder / f'clouds/{STEM}.ply'))
    points, colors = scene.cloud().known()
    np.testing.assert_array_equal(np.asarray(cloud.points, np.float32), points)
    np.testing.assert_array_equal(np.rint(np.asarray(cloud.colors) * 255), colors)
    assert exporter.written == {kind: 2 if kind is Kind.COCO else 1 for kind in Kind}
    dataset = json.loads((folder / 'coco/annotations.json').read_text())
    assert (folder / 'images' / dataset['images'][0]['file_name']).exists()


def test_pictures_keep_their_names(tmp_path):
    scene = example_scene(0)
    exporter = Exporter(tmp_path / 'out', [Kind.COCO, Kind.DEPTH_PNG])
    for frame, name in enumerate(('b.jpg', 'a.jpg', 'a.png', 'a.png', '')):
        exporter.add(replace(scene, image=replace(scene.image, name=name)), frame)
    exporter.finish()
    stamped = '000004_1700000000123456789'
    written = sorted(path.stem for path in (tmp_path / 'out' / 'depth_png').iterdir())
    assert written == [stamped, 'a', 'a~2', 'a~3', 'b']
    dataset = json.loads((tmp_path / 'out/coco/annotations.json').read_text())
    assert [one['file_name'] for one in dataset['images']] == [
        'b.jpg', 'a.jpg', 'a.png', 'a~3.png', f'{stamped}.png',
    ]  # fmt: skip


def test_only_what_was_asked_for_is_written(export):
    folder, _ = export(example_scene(0), Kind.DEPTH_PNG)
    assert [path.name for path in folder.iterdir()] == ['depth_png']


def test_what_a_frame_lacks_is_counted_and_not_made_up(export):
    folder, exporter = export(Scene(image=Image(np.zeros((4, 5, 3), np.uint8))), frame=0)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.*'))
    assert files == [
        'classes/classes.json', 'coco/annotations.json', 'coco/results.json', 'images/000000.png',
    ]  # fmt: skip
    lacking = {kind for kind, count in exporter.lacking.items() if count}
    assert lacking == set(Kind) - {Kind.IMAGES}


def test_relative_depth_is_no_depth_in_meters(export):
    _, exporter = export(example_scene(0, relative=True))
    assert exporter.lacking[Kind.DEPTH_PNG] == exporter.lacking[Kind.CLOUDS] == 1


@pytest.mark.parametrize(
    ('meters', 'millimeters'),
    [
        (np.nan, 0),
        (0.0006, 1),
        (1.2344, 1234),
        (1.2346, 1235),
        (65.534, 65534),
        (65.535, 0),
        (1e4, 0),
    ],
)
def test_depth_in_millimeters_is_rounded_and_never_wraps(meters, millimeters):
    depth = MetricDepth(np.full((1, 1), meters, np.float32))
    assert to_millimeters(depth).item() == millimeters


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / 'old').touch()
    with raises(OutputError, 'exists'):
        Exporter(tmp_path, list(Kind))
    assert [path.name for path in tmp_path.iterdir()] == ['old']


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / 'file').touch()
    with raises(OutputError, 'exists'):
        Exporter(tmp_path / 'file', list(Kind))


def test_a_full_disk_is_reported_and_leaves_only_whole_files(tmp_path, full_disk):
    exporter = Exporter(tmp_path / 'out', list(Kind))
    scene = example_scene(0, (100, 200))
    with full_disk(50_000), raises(OutputError, 'cannot_write'):
        exporter.add(scene, 0)
    assert not list((tmp_path / 'out').rglob('.*'))
    for path in (tmp_path / 'out').rglob('*.png'):
        with PillowImage.open(path) as picture:
            picture.load()
