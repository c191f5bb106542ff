"""Display, copies, selection, files and conversions of the data types."""

from contextlib import suppress
import copy
from dataclasses import fields, replace
import importlib
import io
import json
from pathlib import Path
import pickle

import numpy as np
import PIL.Image
import pytest
from reasons import raises
from scenes import example_scene

from robot_perception.core import (
    Box3D,
    CameraModel,
    DepthFit,
    Detection,
    Detections,
    DistortionModel,
    Masks,
    MetricDepth,
    MissingLibraryError,
    OutputError,
    Plane,
    Pose,
    Scene,
    SourceError,
)
from robot_perception.viewer import draw_depth_with_scale, draw_overlay, scene_to_dict

TRACKS = np.array([7, 8, 9, 10], np.int64)


def complete_scene(*, relative=False):
    """Return a scene without empty parts, with numbers that rounding would change."""
    scene = example_scene(3, count=4, relative=relative)
    camera = CameraModel(
        scene.image.size_hw, 50.1, 50.2, 31.3, 23.4, 'plumb_bob', (0.1, -0.2, 1e-3, 2e-3, 1 / 3)
    )
    objects = list(scene.objects)
    if objects[0].position:
        position = replace(objects[0].position, velocity_mps=(0.1, 1 / 3, -0.2))
        objects[0] = replace(objects[0], position=position, truncated=True, occluded=False)
    return replace(
        scene,
        camera=camera,
        detections=replace(scene.detections, track_ids=TRACKS),
        objects=tuple(objects),
        depth_fit=DepthFit(1 / 3, 0.0, None, 0.1),
        ground=Plane((0.0, -1.0, 0.0), 1.2345678901234567),
        timing_s={**scene.timing_s, 'pipeline': 0.123456789},
        backends={'depth': 'torch fp32'},
    )


def pickled(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - its own bytes


def leaves(value):
    """Yield the fields of nested dataclasses and tuples, independently of ``==``."""
    if hasattr(value, '__dataclass_fields__'):
        for field in fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def assert_same(first, second):
    for one, other in zip(leaves(first), leaves(second), strict=True):
        if isinstance(one, np.ndarray):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert one.tobytes() == other.tobytes()
        else:
            assert one == other
            assert type(one) is type(other)


@pytest.mark.parametrize('relative', [False, True])
@pytest.mark.parametrize('duplicate', [copy.deepcopy, copy.copy, pickled])
def test_copies_are_equal_and_read_only(duplicate, relative):
    scene = complete_scene(relative=relative)
    other = duplicate(scene)
    assert_same(scene, other)
    assert other == scene
    arrays = [leaf for leaf in leaves(other) if isinstance(leaf, np.ndarray)]
    assert len(arrays) >= 10
    assert not any(array.flags.writeable for array in arrays)
    with pytest.raises(TypeError):
        other.timing_s['depth'] = 1.0


def test_deep_copies_share_no_memory():
    scene = complete_scene()
    for one, other in zip(leaves(scene), leaves(copy.deepcopy(scene)), strict=True):
        if isinstance(one, np.ndarray):
            assert not np.shares_memory(one, other)


def test_values_differ_when_one_number_does():
    scene = complete_scene()
    meters = scene.depth.meters.copy()
    assert MetricDepth(meters) == scene.depth
    meters[-1, -1] = 3.25
    assert MetricDepth(meters) != scene.depth
    assert replace(scene, depth=MetricDepth(meters)) != scene
    assert replace(scene, depth=None) != scene
    assert scene.depth != meters.tolist()
    assert Pose.identity() == Pose.identity()


@pytest.mark.parametrize(
    'value',
    [
        *(getattr(complete_scene(), name) for name in ('image', 'features', 'depth', 'masks')),
        *(complete_scene(), complete_scene(relative=True), complete_scene(relative=True).depth),
        *(complete_scene().detections, complete_scene().cloud(), complete_scene().objects[0]),
        *(complete_scene().object_points(), Pose.identity(), Box3D((0, 0, 1), (1, 1, 1))),
        *(Detections.empty(), Masks.empty((4, 6)), example_scene(0, count=9).detections),
        MetricDepth(np.full((2, 3), np.nan, np.float32)),
        Scene(complete_scene().image),
    ],
    ids=lambda value: type(value).__name__,
)
def test_repr_is_one_short_line(value):
    assert repr(value).startswith(type(value).__name__)
    assert '\n' not in repr(value)
    assert 'array(' not in repr(value)
    assert len(repr(value)) < 400


def test_repr_of_a_scene_lists_its_results():
    scene = complete_scene()
    objects = ', '.join(f'{item.class_name} {item.score:.2f}' for item in scene.objects)
    assert repr(scene) == (
        "Scene(64x48, stamp_ns=1700000000123456789, frame_id='eye', camera, features, "
        f'metric depth, Detections(4: {objects}), masks, ground, 123 ms)'
    )


class TestNotebooks:
    @pytest.mark.parametrize(
        ('part', 'drawing'),
        [
            (lambda scene: scene, draw_overlay),
            (lambda scene: scene.depth, draw_depth_with_scale),
            (lambda scene: scene.image, lambda image: image.rgb),
        ],
    )
    @pytest.mark.parametrize('relative', [False, True])
    def test_png(self, part, drawing, relative):
        value = part(complete_scene(relative=relative))
        with PIL.Image.open(io.BytesIO(value._repr_png_())) as decoded:
            np.testing.assert_array_equal(np.asarray(decoded), drawing(value))

    def test_html_holds_the_image_and_the_repr(self):
        scene = replace(complete_scene(), image=replace(complete_scene().image, frame_id='<b>'))
        html = scene._repr_html_()
        assert 'src="data:image/png;base64,iVBOR' in html
        assert '&lt;b&gt;' in html
        assert '<b>' not in html

    def test_masks(self):
        assert complete_scene().masks._repr_png_().startswith(b'\x89PNG')

    def test_show_opens_the_overlay(self, monkeypatch):
        shown = []
        monkeypatch.setattr(PIL.Image.Image, 'show', lambda image: shown.append(np.array(image)))
        complete_scene().show()
        np.testing.assert_array_equal(shown[0], draw_overlay(complete_scene()))


class TestSelection:
    def detections(self):
        return complete_scene().detections

    @pytest.mark.parametrize(
        'index',
        [
            slice(1, 3),
            slice(None, None, -1),
            np.array([True, False, False, True]),
            np.array([2, 0, 2]),
            [3, 1],
            np.array([-1]),
            np.zeros(0, np.int64),
        ],
        ids=str,
    )
    def test_slices_masks_and_indices_select_as_in_numpy(self, index):
        found, all_of = self.detections()[index], self.detections()
        assert isinstance(found, Detections)
        np.testing.assert_array_equal(found.boxes_xyxy, all_of.boxes_xyxy[index])
        np.testing.assert_array_equal(found.scores, all_of.scores[index])
        np.testing.assert_array_equal(found.class_ids, all_of.class_ids[index])
        np.testing.assert_array_equal(found.track_ids, all_of.track_ids[index])
        assert list(found.class_names) == np.array(all_of.class_names)[index].tolist()

    def test_iteration_yields_detections(self):
        detections = self.detections()
        assert len(list(detections)) == len(detections) == 4
        assert list(detections)[-1] == detections[-1] == detections[np.int64(3)]
        box, score, class_id, name, track = detections[1]
        assert isinstance(detections[1], Detection)
        assert box == tuple(detections.boxes_xyxy[1].tolist())
        assert (score, class_id) == (float(detections.scores[1]), int(detections.class_ids[1]))
        assert (name, track) == ('chair', 8)
        assert replace(detections, track_ids=None)[0].track_id is None

    @pytest.mark.parametrize('index', [4, -5, np.array([4]), np.ones(3, bool)])
    def test_indices_out_of_range(self, index):
        with pytest.raises(IndexError):
            self.detections()[index]


class TestFiles:
    @pytest.mark.parametrize(
        'scene',
        [
            complete_scene(),
            complete_scene(relative=True),
            example_scene(0, count=0),
            Scene(complete_scene().image),
        ],
        ids=['metric', 'relative', 'no objects', 'image only'],
    )
    def test_load_returns_what_was_saved(self, tmp_path, scene):
        scene.save(tmp_path / 'new' / 'folder')
        loaded = Scene.load(tmp_path / 'new' / 'folder')
        assert_same(scene, loaded)
        assert loaded == scene
        assert not loaded.image.rgb.flags.writeable

    def test_scenes_of_version_0_1_0_have_unknown_uncertainty(self):
        """The file was written by 39bfb75~1, when covariance_m2 was the spread of the points."""
        loaded = Scene.load(Path(__file__).parents[1] / 'data' / 'scene_0_1_0')
        same_now = example_scene(7, (24, 32))
        assert_same(loaded.depth, same_now.depth)
        assert_same(loaded.masks, same_now.masks)
        assert loaded.depth_source is None
        first, second, third = (item.position for item in loaded.objects)
        np.testing.assert_array_equal(first.points_covariance_m2, np.diag([0.01, 0.02, 0.03]))
        assert first.velocity_mps == (0.1, 0.0, -0.2)
        for position in (first, second):
            assert (position.covariance_m2, position.covariance_calibrated) == (None, False)
        assert third is None

    def test_the_lens_model_stays_an_enum(self, tmp_path):
        complete_scene().save(tmp_path)
        assert Scene.load(tmp_path).camera.distortion_model is DistortionModel.PLUMB_BOB

    def test_the_folder_holds_json_and_overlay(self, tmp_path):
        scene = complete_scene()
        scene.save(str(tmp_path))
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            'overlay.png',
            'scene.json',
            'scene.npz',
        ]
        written = json.loads((tmp_path / 'scene.json').read_text())
        assert written == scene.to_dict() == scene_to_dict(scene)
        with PIL.Image.open(tmp_path / 'overlay.png') as decoded:
            np.testing.assert_array_equal(np.asarray(decoded), draw_overlay(scene))

    def test_saving_again_replaces(self, tmp_path):
        complete_scene().save(tmp_path)
        Scene(complete_scene().image).save(tmp_path)
        assert Scene.load(tmp_path) == Scene(complete_scene().image)

    def test_a_folder_without_a_scene(self, tmp_path):
        with raises(SourceError, 'missing_file', match='scene.npz'):
            Scene.load(tmp_path)

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / 'file').touch()
        with pytest.raises(OutputError):
            complete_scene().save(tmp_path / 'file')

    def test_damaged_files(self, tmp_path):
        example_scene(0, (12, 16)).save(tmp_path)
        path = tmp_path / 'scene.npz'
        content = path.read_bytes()
        path.write_bytes(b'')
        with raises(SourceError, 'damaged'):
            Scene.load(tmp_path)
        rng = np.random.default_rng(0)
        for end in rng.integers(1, len(content), 30):
            path.write_bytes(content[:end])
            with raises(SourceError, 'damaged'):
                Scene.load(tmp_path)
        for position in rng.integers(0, len(content), 60):
            flipped = bytearray(content)
            flipped[position] ^= 0xFF
            path.write_bytes(flipped)
            with suppress(SourceError):
                Scene.load(tmp_path)

    def test_an_array_with_code_is_not_executed(self, tmp_path):
        np.savez(tmp_path / 'scene.npz', tree=np.array([print], object))
        with raises(SourceError, 'damaged'):
            Scene.load(tmp_path)


class TestConversions:
    def test_coco(self):
        detections = complete_scene().detections
        results = detections.to_coco(image_id=5)
        assert json.loads(json.dumps(results)) == results
        coco = importlib.import_module('pycocotools.coco')
        truth = coco.COCO()
        truth.dataset = {
            'images': [{'id': 5, 'height': 48, 'width': 64}],
            'categories': [{'id': int(number)} for number in detections.class_ids],
            'annotations': [],
            'info': {},
        }
        truth.createIndex()
        loaded = truth.loadRes(results)
        assert [
            one['score'] for one in loaded.dataset['annotations']
        ] == detections.scores.tolist()
        left, top, width, height = loaded.dataset['annotations'][2]['bbox']
        box = [left, top, left + width, top + height]
        np.testing.assert_allclose(box, detections.boxes_xyxy[2], rtol=1e-6)

    def test_pandas(self):
        pd = pytest.importorskip('pandas')
        detections = complete_scene().detections
        table = detections.to_pandas()
        assert list(table.columns) == [
            *('left', 'top', 'right', 'bottom', 'score', 'class_id', 'class_name', 'track_id')
        ]
        np.testing.assert_array_equal(table.iloc[:, :4].to_numpy(), detections.boxes_xyxy)
        assert table['track_id'].tolist() == TRACKS.tolist()
        assert table['class_name'].tolist() == list(detections.class_names)
        untracked = replace(detections, track_ids=None).to_pandas()
        assert untracked['track_id'].isna().all()
        assert table.dtypes.equals(untracked.dtypes)
        assert table.dtypes.equals(pd.DataFrame(Detections.empty().to_pandas()).dtypes)

    def test_supervision(self):
        sv = pytest.importorskip('supervision')
        scene = complete_scene()
        found = scene.detections.to_supervision(scene.masks)
        assert isinstance(found, sv.Detections)
        np.testing.assert_array_equal(found.xyxy, scene.detections.boxes_xyxy)
        np.testing.assert_array_equal(found.mask, scene.masks.pixels)
        np.testing.assert_array_equal(found.tracker_id, TRACKS)
        assert found['class_name'].tolist() == list(scene.detections.class_names)
        drawn = sv.BoxAnnotator().annotate(scene.image.rgb.copy(), found)
        assert (drawn != scene.image.rgb).any()
        assert len(found[found.confidence > 0.8]) == (scene.detections.scores > 0.8).sum()
        assert len(Detections.empty().to_supervision()) == 0

    def test_open3d(self):
        pytest.importorskip('open3d')
        scene = complete_scene()
        cloud = scene.cloud().to_open3d()
        known = np.isfinite(scene.depth.meters)
        points = np.asarray(cloud.points)
        np.testing.assert_array_equal(points[:, 2], scene.depth.meters[known].astype(np.float64))
        np.testing.assert_array_equal(
            np.rint(np.asarray(cloud.colors) * 255), scene.image.rgb[known]
        )

    @pytest.mark.parametrize(
        ('blocked', 'call', 'package'),
        [
            ('pandas', lambda scene: scene.detections.to_pandas(), 'pandas'),
            ('supervision', lambda scene: scene.detections.to_supervision(), 'supervision'),
            ('open3d', lambda scene: scene.cloud().to_open3d(), 'open3d'),
            ('PIL', lambda scene: scene.show(), 'pillow'),
            ('robot_perception.viewer', lambda scene: scene.to_dict(), 'opencv-python-headless'),
            ('robot_perception.viewer', lambda scene: scene._repr_png_(), 'opencv'),
            ('robot_perception.viewer', lambda scene: scene.depth._repr_html_(), 'opencv'),
        ],
    )
    def test_a_missing_library_is_named(self, monkeypatch, blocked, call, package):
        monkeypatch.setitem(importlib.import_module('sys').modules, blocked, None)
        with raises(MissingLibraryError, 'missing_library', match=f'pip install {package}'):
            call(complete_scene())
