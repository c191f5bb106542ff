"""The networks that are shipped with the package."""

import shutil
import stat

from checkpoints import sample_image
import pytest
from reasons import raises

from robot_perception.core.errors import WeightsInvalidError, WeightsMissingError
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    checkpoint,
    UploadedImage,
)
from robot_perception.models.checkpoint import EMBEDDED, find_checkpoint
from robot_perception.world import CLASS_NAMES

BUILDERS = {
    'features': build_feature_extractor,
    'depth': build_depth_estimator,
    'detector': build_detector,
    'segmenter': build_segmenter,
}


def test_they_are_small_world_readable_and_documented():
    folders = [find_checkpoint('demo', task).folder for task in EMBEDDED]
    files = [file for folder in folders for file in folder.iterdir()]
    assert sum(file.stat().st_size for file in files) <= 25_000_000
    for folder in folders:
        assert {file.name for file in folder.iterdir()} == {
            'README.md',
            'config.json',
            'model.safetensors',
            'preprocessor_config.json',
        }
        card = (folder / 'README.md').read_text()
        assert 'license: apache-2.0' in card
        assert 'On photographs what it returns means nothing.' in card
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o644, file


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
