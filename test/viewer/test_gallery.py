"""The page of frames: its files, its text, and text that tries to be more than text."""

import base64
from dataclasses import replace
import json
import math
import re
from urllib.parse import unquote
import zlib

import cv2
from html_page import HtmlPage
import numpy as np
import pytest
from reasons import raises
from scenes import example_scene
from scipy.spatial.transform import Rotation

from robot_perception.core import Detections, MetricDepth, PointCloud, Scene
from robot_perception.core.errors import OutputError
from robot_perception.viewer import draw_overlay, Gallery, Link, Step, Table
from robot_perception.viewer.page_cloud import encode_cloud, MAX_POINTS

SIZE_HW = (48, 64)


class Page(HtmlPage):
    """A page of frames."""

    def __init__(self, path):
        super().__init__(path, {'meta', 'img', 'br', 'link', 'input', 'path'})

    def all(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]

    @property
    def frames(self):
        return json.loads(re.search(r'const FRAMES = (.*);', self.source)[1])


def read_data(folder):
    text = (folder / 'frame.js').read_text()
    index, data = re.fullmatch(r'frameLoaded\((\d+),(.*)\);\n', text).groups()
    return int(index), json.loads(data)


def named(scene, class_name='cup', image_name=''):
    objects = tuple(replace(item, class_name=class_name) for item in scene.objects)
    found = scene.detections
    detections = Detections(
        found.boxes_xyxy, found.scores, found.class_ids, (class_name,) * len(found)
    )
    image = replace(scene.image, name=image_name)
    return replace(scene, image=image, objects=objects, detections=detections)


@pytest.fixture
def gallery(tmp_path):
    return Gallery(tmp_path / 'new', 'Demo', ['5 < 6 & so on'])


def test_a_frame_has_its_pictures_and_those_of_its_truth(gallery, tmp_path):
    scene, truth = example_scene(0, SIZE_HW), example_scene(1, SIZE_HW)
    truth = replace(truth, image=scene.image, features=None)
    gallery.add(scene, 7, truth)
    gallery.add(example_scene(2, SIZE_HW, relative=True), 8)
    gallery.add(Scene(scene.image), 9)
    page = Page(gallery.finish())
    folders = [tmp_path / 'new' / frame['folder'] for frame in page.frames]
    assert [folder.name for folder in folders] == [
        f'{number:06d}_1700000000123456789' for number in (7, 8, 9)
    ]
    known = ['objects', 'depth', 'features', 'image']
    expected = [[*known, 'truth_objects', 'truth_depth'], known, ['objects', 'image']]
    for number, (folder, frame, names) in enumerate(
        zip(folders, page.frames, expected, strict=True)
    ):
        assert frame['pictures'] == names
        assert {path.name for path in folder.iterdir()} == {
            'frame.js', *(f'{name}.jpg' for name in names),
        }  # fmt: skip
        for name in names:
            assert cv2.imread(str(folder / f'{name}.jpg')).shape[:2] == SIZE_HW
        assert read_data(folder)[0] == number
    drawn = cv2.imread(str(folders[0] / 'objects.jpg'))[..., ::-1].astype(int)
    assert np.abs(drawn - draw_overlay(scene)).mean() < 12
    assert page.frames[0]['truth'] == page.frames[0]['summary'] == 'chair, cup, person'
    assert page.frames[2]['summary'] == 'no detections'


def test_objects_have_size_place_velocity_and_the_corners_of_their_boxes(gallery, tmp_path):
    scene = example_scene(0, SIZE_HW)
    position = replace(scene.objects[0].position, velocity_mps=(0.1, -0.2, 0.3))
    scene = replace(
        scene, objects=(replace(scene.objects[0], position=position), *scene.objects[1:])
    )
    gallery.add(scene, 0)
    (frame,) = Page(gallery.finish()).frames
    _, data = read_data(tmp_path / 'new' / frame['folder'])
    first, _, last = data['objects']
    box = position.box
    assert first['size'] == pytest.approx(box.size_m, abs=5e-4)
    assert first['place'] == pytest.approx(position.centroid_m, abs=5e-4)
    assert first['velocity'] == [0.1, -0.2, 0.3]
    halves = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    corners = Rotation.from_quat(box.rotation_xyzw).apply(halves * box.size_m) + box.center_m
    np.testing.assert_allclose(first['corners'], corners, atol=5e-4)
    assert last['corners'] is last['place'] is last['velocity'] is None


def test_the_cloud_is_that_of_the_scene(gallery, tmp_path):
    scene = example_scene(0, SIZE_HW)
    gallery.add(scene, 0)
    gallery.finish()
    (folder,) = (tmp_path / 'new/frames').iterdir()
    encoded = read_data(folder)[1]['cloud']
    xyz, rgb = scene.cloud().known()
    steps = np.frombuffer(zlib.decompress(base64.b64decode(encoded['data'])), '<i2')
    values = np.cumsum(steps.reshape(6, encoded['count']), axis=1, dtype=np.int16).T
    np.testing.assert_allclose(values[:, :3] * encoded['unit_m'], xyz, atol=encoded['unit_m'])
    np.testing.assert_array_equal(values[:, 3:], rgb)
    assert encoded['spacing'] == pytest.approx(1 / scene.camera.fx, rel=1e-3)


def test_large_clouds_are_thinned_and_empty_ones_are_none():
    xyz = np.ones((600, 800, 3), np.float32)
    cloud = PointCloud(xyz, np.zeros(xyz.shape, np.uint8))
    assert MAX_POINTS / 2 < encode_cloud(cloud)['count'] <= MAX_POINTS
    nothing = PointCloud(np.full((4, 5, 3), np.nan, np.float32), np.zeros((4, 5, 3), np.uint8))
    assert encode_cloud(nothing) is None
    one = PointCloud(np.ones((1, 1, 3), np.float32), np.zeros((1, 1, 3), np.uint8))
    assert encode_cloud(one)['count'] == 1
    assert math.isfinite(encode_cloud(one)['spacing'])


def test_depth_of_prediction_and_truth_have_one_range(gallery, tmp_path):
    scene, truth = example_scene(0, SIZE_HW), example_scene(0, SIZE_HW)
    doubled = replace(scene, depth=MetricDepth(scene.depth.meters * 2))
    gallery.add(doubled, 0, truth)
    gallery.finish()
    (folder,) = (tmp_path / 'new/frames').iterdir()
    near, far = read_data(folder)[1]['range']
    assert (near, far) == pytest.approx(np.nanpercentile(truth.depth.meters, (1, 99)), abs=0.01)
    pictures = [cv2.imread(str(folder / f'{name}.jpg')) for name in ('depth', 'truth_depth')]
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 20


@pytest.mark.parametrize(
    'text',
    ['</script><script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'-alert(1)-'",
     '<!--', '{{ 7 * 7 }}', '\u2028', '${alert(1)}', '`', '\\'],
)  # fmt: skip
def test_text_from_outside_stays_text(tmp_path, text):
    gallery = Gallery(tmp_path, text, [text], caption=text)
    gallery.add(named(example_scene(0, SIZE_HW), text, f'a{text.replace("/", "")}.jpg'), 0)
    table = Table(text, (text,), ((text,),))
    page = Page(gallery.finish(lead=text, tables=[table], links=[Link('a b#', text)],
                               steps=[Step(text, text)]))  # fmt: skip
    assert len(page.all('script')) == 1
    assert len(page.all('img')) == 2
    assert all(not name.startswith('on') for _, attributes in page.tags for name in attributes)
    assert page.texts.count(text) >= 6
    (frame,) = page.frames
    assert frame['summary'] == f'{text} \N{MULTIPLICATION SIGN} 3'
    assert (tmp_path / frame['folder'] / 'objects.jpg').is_file()
    for image in page.all('img'):
        assert (tmp_path / unquote(image['src'])).is_file()
    _, data = read_data(tmp_path / frame['folder'])
    assert data['objects'][0]['name'].startswith(text)
    assert 'a%20b%23' in {link['href'] for link in page.all('a')}


def test_the_page_needs_no_network(gallery):
    gallery.add(example_scene(0, SIZE_HW), 0)
    text = Page(gallery.finish()).source
    assert '://' not in text
    assert '@import' not in text
    assert 'url(' not in text
    assert 'prefers-color-scheme: dark' in text


def test_images_named_like_folders_stay_inside(gallery, tmp_path):
    for number, name in enumerate(('...jpg', '..png', '.jpg', 'a/../b.jpg')):
        gallery.add(named(example_scene(number, SIZE_HW), image_name=name), number)
    gallery.finish()
    assert {path.name for path in tmp_path.iterdir()} == {'new'}
    assert {path.name for path in (tmp_path / 'new').iterdir()} == {'frames', 'index.html'}
    assert len(list((tmp_path / 'new/frames').iterdir())) == 4


def test_a_page_without_frames_states_it(gallery):
    page = Page(gallery.finish())
    assert 'There are no frames.' in page.texts
    assert page.all('script') == page.all('img') == []


def test_columns_of_numbers_are_aligned_right_and_unknown_is_a_dash(gallery):
    rows = (('depth', 7.0, None, 'a'), ('<masks>', 12.3456, 3, None), ('x', math.nan, 1, ''))
    page = Page(gallery.finish(tables=[Table('Time', ('stage', 'ms', 'share', 'note'), rows)]))
    assert [cell.get('class') for cell in page.all('td')] == [None, 'number', 'number', None] * 3
    assert {'7.00', '12.35', '3', '1'} < set(page.texts)
    assert page.texts.count('\N{EN DASH}') == 3


def test_steps_are_at_the_end_with_one_command_each(gallery):
    steps = [Step('See <this>:', 'see this.png && echo "<done>"'), Step('Then:', 'then')]
    page = Page(gallery.finish(steps=steps))
    texts = [text for text in page.texts if text.strip()]
    assert texts[-5:] == [
        'What to try next', 'See <this>:', 'see this.png && echo "<done>"', 'Then:', 'then',
    ]  # fmt: skip


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    with raises(OutputError, 'cannot_write'):
        Gallery(tmp_path / 'file', 'Demo', [])
