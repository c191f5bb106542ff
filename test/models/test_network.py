"""Weights that do not fit, are damaged, or would leave random weights in a layer."""

import logging

from checkpoints import rewrite_config, rewrite_weights
import pytest
from reasons import raises
from safetensors.torch import load_file, save_file
import torch
import transformers

from robot_perception.core.errors import WeightsInvalidError
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
)

BUILD = {
    'features': build_feature_extractor,
    'depth': build_depth_estimator,
    'detector': build_detector,
    'segmenter': build_segmenter,
}


def build(folder):
    return build_detector(str(folder), device='cpu')


@pytest.mark.parametrize('keep', [0, 4, 100, 20_000, -1])
def test_a_truncated_file_is_rejected(checkpoint_copy, keep):
    folder = checkpoint_copy()
    weights = folder / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:keep])
    message = r'detector.model: .*model.safetensors cannot be read as safetensors .*truncated'
    with raises(WeightsInvalidError, 'damaged', message):
        build(folder)


def test_a_file_of_another_format_is_rejected(checkpoint_copy):
    folder = checkpoint_copy()
    (folder / 'model.safetensors').write_text('version https://git-lfs.github.com/spec/v1\n' * 9)
    with raises(WeightsInvalidError, 'damaged'):
        build(folder)


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_rejected(checkpoint_copy, bad):
    folder = checkpoint_copy()

    def corrupt(weights):
        weights['class_labels_classifier.bias'][1] = bad
        return weights

    rewrite_weights(folder, corrupt)
    message = 'expected finite weights, got NaN or infinity in class_labels_classifier.bias. The'
    with raises(WeightsInvalidError, 'not_finite', message):
        build(folder)


@pytest.mark.parametrize('task', BUILD)
@pytest.mark.slow
def test_every_missing_weight_is_an_error(task, tiny, checkpoint_copy):
    """Tries every twelfth weight."""
    folder = checkpoint_copy(task)
    weights = load_file(tiny[task] / 'model.safetensors')
    for name in sorted(weights)[::12]:
        rest = {key: value for key, value in weights.items() if key != name}
        save_file(rest, folder / 'model.safetensors', metadata={'format': 'pt'})
        with raises(WeightsInvalidError, 'weights_mismatch', 'got weights that are missing: '):
            BUILD[task](str(folder), device='cpu')


def test_many_missing_weights_are_counted(checkpoint_copy):
    folder = checkpoint_copy()
    rewrite_weights(
        folder, lambda weights: {k: v for k, v in weights.items() if 'decoder' not in k}
    )
    message = (
        r'expected the weights to fit config.json, got weights that are missing: '
        r'model.decoder\S+, model.decoder\S+, model.decoder\S+ and \d+ more. The two files'
    )
    with raises(WeightsInvalidError, 'weights_mismatch', message):
        build(folder)


def test_a_network_without_its_head_is_rejected(checkpoint_copy):
    folder = checkpoint_copy()
    rewrite_weights(
        folder, lambda weights: {k: v for k, v in weights.items() if k.startswith('model.')}
    )
    with raises(
        WeightsInvalidError, 'weights_mismatch', 'weights that are missing: bbox_predictor'
    ):
        build(folder)


def test_a_weight_of_another_shape_is_rejected(checkpoint_copy):
    folder = checkpoint_copy()

    def widen(weights):
        weights['class_labels_classifier.bias'] = torch.zeros(9)
        return weights

    rewrite_weights(folder, widen)
    message = 'got weights of another shape: class_labels_classifier.bias'
    with raises(WeightsInvalidError, 'weights_mismatch', message):
        build(folder)


def test_weights_of_layers_that_the_config_lacks_are_an_error(checkpoint_copy):
    folder = checkpoint_copy()
    rewrite_config(folder, decoder_layers=1)
    message = r'got layers that the config lacks: model.decoder.layers.1'
    with raises(WeightsInvalidError, 'weights_mismatch', message):
        build(folder)


def test_unused_weights_are_logged(checkpoint_copy, caplog):
    folder = checkpoint_copy()
    extra = {
        'classifier.weight': torch.zeros(3),
        'model.backbone.conv_encoder.model.bn1.num_batches_tracked': torch.zeros(1),
    }
    rewrite_weights(folder, lambda weights: weights | extra)
    with caplog.at_level(logging.WARNING):
        build(folder)
    assert 'unused weights: classifier.weight' in caplog.text
    assert 'num_batches_tracked' not in caplog.text


def test_a_config_that_cannot_be_built_is_rejected(checkpoint_copy):
    folder = checkpoint_copy()
    rewrite_config(folder, d_model='wide')
    message = r'transformers \S+ cannot build the network \(.*Use a checkpoint saved for this'
    with raises(WeightsInvalidError, 'invalid_config', message):
        build(folder)


def test_the_verbosity_of_transformers_is_restored(tiny, capfd):
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    build(tiny['detector'])
    assert (log.get_verbosity(), log.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ('', '')
