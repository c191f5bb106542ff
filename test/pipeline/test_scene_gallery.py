"""Classes of the whole image by the nearest of a few named pictures."""

import cv2
import numpy as np
import pytest
from reasons import raises

from robot_perception import PerceptionPipeline
from robot_perception.core import ConfigError, Image, SceneFeatures, Stage
from robot_perception.models import build_feature_extractor, UploadedImage
from robot_perception.pipeline.scene_gallery import SceneGallery
from robot_perception.world import FIRST_TEST_SEED, render, SCENE_TYPES

SIZE_HW = (48, 64)
COLORS = {'red': (200, 30, 30), 'green': (20, 180, 40), 'blue': (10, 60, 220)}


def picture(name, seed=0):
    """Return an image of about one color."""
    noise = np.random.default_rng(seed).integers(0, 30, (*SIZE_HW, 3), dtype=np.uint8)
    return np.uint8(COLORS[name]) + noise


def write(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1])


@pytest.fixture
def gallery(tmp_path):
    """Write pictures named in each way: by a number, by parentheses, and in a folder."""
    folder = tmp_path / 'rooms'
    write(folder / 'red_1.png', picture('red', 1))
    write(folder / 'red (2).png', picture('red', 2))
    write(folder / 'green.png', picture('green', 3))
    write(folder / 'blue' / 'any.png', picture('blue', 4))
    (folder / '.DS_Store').write_bytes(b'\0')
    return folder


def load(folder, preset='stub', **values):
    names = {name.replace('__', '.'): value for name, value in values.items()}
    overrides = {'scene.enabled': True, 'scene.gallery': str(folder), **names}
    return PerceptionPipeline.from_preset(preset, overrides, device='cpu')


@pytest.mark.parametrize('parallel', [False, True], ids=['in turn', 'parallel'])
def test_scores_are_the_cosines_of_the_nearest_pictures(gallery, parallel):
    extract = build_feature_extractor('stub').extract

    def vector(rgb):
        return extract(UploadedImage(Image(rgb))).vector

    def cosine(one, other):
        return one @ other / np.linalg.norm(one) / np.linalg.norm(other)

    image = picture('red', 9)
    found = load(gallery, parallel=parallel, cpu_threads=1).process(image).scene_classes
    expected = {
        name: max(cosine(vector(image), vector(picture(name, seed))) for seed in seeds)
        for name, seeds in {'red': (1, 2), 'green': (3,), 'blue': (4,)}.items()
    }
    assert dict(zip(found.names, found.scores.tolist(), strict=True)) == pytest.approx(expected)
    assert found.names[0] == 'red'


class MeanColor:
    """Extracts the mean color relative to gray."""

    def extract(self, image):
        vector = np.float32(image.rgb.mean((0, 1)) - 100)
        return SceneFeatures('mean color', vector, vector[None, None])


def test_negative_cosines_have_the_score_0_and_keep_their_order(gallery):
    classes = SceneGallery(gallery, MeanColor())
    orange = UploadedImage(Image(np.full((*SIZE_HW, 3), (200, 100, 0), np.uint8)))
    found = classes.classify_features(MeanColor().extract(orange), ['blue', 'green', 'red'])
    assert found.names == ('red', 'green', 'blue')
    assert found.scores[0] > 0.5
    assert found.scores[1:].tolist() == [0, 0]


@pytest.mark.parametrize('parallel', [False, True], ids=['in turn', 'parallel'])
def test_the_features_of_a_frame_are_computed_once_and_only_where_needed(gallery, parallel):
    values = {'features__every_k': 2, 'scene__every_k': 3, 'parallel': parallel}
    pipeline = load(gallery, **values, cpu_threads=1)
    scenes = list(pipeline.process_many([picture('blue', seed) for seed in range(7)]))
    assert [scene.features is not None for scene in scenes] == [
        index % 2 == 0 for index in range(7)
    ]
    assert [scene.scene_classes is not None for scene in scenes] == [
        index % 3 == 0 for index in range(7)
    ]
    assert [Stage.FEATURES.value in scene.timing_s for scene in scenes] == [
        index % 2 == 0 or index % 3 == 0 for index in range(7)
    ]
    alone = load(gallery, features__enabled=False).process(picture('blue', 3))
    assert alone.features is None
    assert alone.scene_classes == scenes[3].scene_classes


def test_labels_choose_among_the_pictures_while_it_runs(gallery):
    pipeline = load(gallery)
    assert sorted(pipeline.scene_labels) == ['blue', 'green', 'red']
    assert 'scene' in repr(pipeline)
    assert str(gallery) in repr(pipeline)
    pipeline.reconfigure(pipeline.config.with_values({'scene.labels': 'green, BLUE'}))
    assert pipeline.process(picture('red')).scene_classes.names == ('green', 'blue')
    with raises(ConfigError, 'unknown_class', match='gallery'):
        pipeline.reconfigure(pipeline.config.with_values({'scene.labels': 'attic'}))
    with raises(ConfigError, 'fixed_parameter'):
        pipeline.reconfigure(pipeline.config.with_values({'scene.gallery': ''}))


def test_a_scene_stage_without_its_gallery_is_not_enabled(gallery):
    pipeline = load(gallery, scene__enabled=False)
    with raises(ConfigError, 'network_not_loaded', match='scene'):
        pipeline.reconfigure(pipeline.config.with_values({'scene.enabled': True}))


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (lambda folder: folder.rename(folder.with_name('elsewhere')), 'missing_folder'),
        (lambda folder: [one.unlink() for one in folder.glob('*.png')], 'too_few_classes'),
        (lambda folder: (folder / 'attic').mkdir(), 'empty_class'),
        (lambda folder: (folder / 'green.png').write_bytes(b'GIF'), 'unreadable_picture'),
        (lambda folder: (folder / 'notes.txt').write_text('rooms'), 'unreadable_picture'),
        (lambda folder: (folder / 'green.png').rename(folder / '7.png'), 'no_class_name'),
    ],
)
def test_a_bad_gallery_is_refused_by_name(gallery, damage, reason):
    damage(gallery)
    with raises(ConfigError, reason, match=r'scene\.gallery: expected .* got .*\.'):
        load(gallery)


def test_an_empty_gallery_is_refused(tmp_path):
    with raises(ConfigError, 'too_few_classes', match='no pictures'):
        load(tmp_path)


@pytest.mark.slow
def test_a_few_pictures_distinguish_the_scene_types_of_the_demo_world(tmp_path):
    size_hw, wanted = (120, 160), 4
    counts = dict.fromkeys(SCENE_TYPES, 0)
    seed = FIRST_TEST_SEED
    while min(counts.values()) < wanted:
        frame = render(seed, size_hw)
        if counts[frame.scene_type] < wanted:
            counts[frame.scene_type] += 1
            write(tmp_path / f'{frame.scene_type}_{seed}.png', frame.image.rgb)
        seed += 1
    pipeline = load(
        tmp_path, 'demo', detector__enabled=False, depth__enabled=False, segmenter__enabled=False
    )
    frames = [render(seed + offset, size_hw) for offset in range(20)]
    found = [pipeline.process(frame.image).scene_classes.names[0] for frame in frames]
    right = [name == frame.scene_type for name, frame in zip(found, frames, strict=True)]
    assert np.mean(right) >= 0.7
