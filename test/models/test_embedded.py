"""The networks that are shipped with the package."""

from pathlib import Path
import shutil
import stat

from checkpoints import sample_image
import pytest
from reasons import raises

from robot_perception.core import iou_xyxy
from robot_perception.core.errors import ConfigError, WeightsInvalidError, WeightsMissingError
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    checkpoint,
    DEMO_WORDS,
    UploadedImage,
)
from robot_perception.models.checkpoint import EMBEDDED, find_checkpoint
from robot_perception.world import CLASS_NAMES, render
from robot_perception.world.phrases import COLORED, KINDS

BUILDERS = {
    'features': build_feature_extractor,
    'depth': build_depth_estimator,
    'detector': build_detector,
    'segmenter': build_segmenter,
}
SEED_WITH_A_CUP, CUP, ABSENT = 900_012, 'white cup', 'yellow book'


def test_they_are_small_world_readable_and_documented():
    folders = [find_checkpoint('demo', task).folder for task in EMBEDDED]
    files = [file for folder in folders for file in folder.iterdir()]
    assert sum(file.stat().st_size for file in files) <= 25_000_000
    for task, folder in zip(EMBEDDED, folders, strict=True):
        assert {file.name for file in folder.iterdir()} == {
            'README.md',
            'config.json',
            'model.safetensors',
            'preprocessor_config.json',
            *(['score_calibration.json'] if task == 'detector' else []),
        }
        card = (folder / 'README.md').read_text()
        assert 'license: apache-2.0' in card
        assert 'On photographs what it returns means nothing.' in card
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o644, file


def test_the_one_that_takes_prompts_is_small_readable_and_documented():
    folder = find_checkpoint(DEMO_WORDS, 'detector').folder
    assert {file.name for file in folder.iterdir()} == {
        'README.md',
        'config.json',
        'model.safetensors',
        'preprocessor_config.json',
        'tokenizer.json',
        'tokenizer_config.json',
    }
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 10_000_000
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}
    card = (folder / 'README.md').read_text()
    assert 'license: apache-2.0' in card
    assert 'On photographs what it returns means nothing.' in card
    # The figures of the card are those of the documentation.
    rows = [line for line in card.splitlines() if line.startswith('|')]
    page = (Path(__file__).parents[2] / 'docs' / 'demo_models.md').read_text().splitlines()
    assert len(rows) == 6
    assert [line for line in rows if line not in page] == []


def test_every_phrase_of_the_demo_world_is_in_its_vocabulary():
    detector = build_detector(DEMO_WORDS)
    for phrase in (*KINDS, *COLORED):
        (tokens,) = detector.family.tokenize([str(phrase)])
        assert len(tokens) == len(str(phrase).split()) + 3
    with raises(ConfigError, 'unknown_characters', 'of which it knows ball, balls, black,'):
        detector.prompted(['red elephant'])


@pytest.mark.slow
def test_it_finds_what_prompts_name():
    frame = render(SEED_WITH_A_CUP, (480, 640))
    detector = build_detector(DEMO_WORDS).prompted([CUP, ABSENT])
    found = detector.detect(UploadedImage(frame.image), threshold=0.36, max_objects=20)
    assert set(found.class_names) == {CUP}
    pairs = list(zip(frame.colors, frame.detections.class_names, strict=True))
    true = frame.detections.boxes_xyxy[pairs.index(tuple(CUP.split()))]
    assert iou_xyxy(found.boxes_xyxy[:1], true[None])[0, 0] > 0.5


def test_the_detector_has_the_classes_of_the_demo_world():
    assert tuple(build_detector('demo').class_names) == CLASS_NAMES


def test_results_are_labeled_with_the_name_of_the_network():
    features = build_feature_extractor('demo').extract(UploadedImage(sample_image(96, 128)))
    assert features.model == 'demo/dinov2'


@pytest.mark.parametrize('task', sorted(EMBEDDED))
def test_a_damaged_installation_is_an_error_with_a_remedy(task, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, 'DEMO_FOLDER', tmp_path)
    with raises(WeightsMissingError, 'missing_file', 'part of the package: reinstall it'):
        BUILDERS[task]('demo')
    monkeypatch.undo()
    folder = tmp_path / EMBEDDED[task]
    shutil.copytree(find_checkpoint('demo', task).folder, folder)
    weights = folder / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:-1000])
    monkeypatch.setattr(checkpoint, 'DEMO_FOLDER', tmp_path)
    with raises(WeightsInvalidError, 'damaged'):
        BUILDERS[task]('demo')
