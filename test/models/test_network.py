"""Weights that do not fit, are damaged, or would leave a layer random."""

import logging

from checkpoints import rewrite_config, rewrite_weights
import pytest
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
def test_a_file_cut_short_is_refused(spoilt, keep):
    folder = spoilt()
    weights = folder / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:keep])
    message = r'detector.model: .*model.safetensors cannot be read as safetensors .*cut short'
    with pytest.raises(WeightsInvalidError, match=message):
        build(folder)


def test_a_file_that_is_something_else_is_refused(spoilt):
    folder = spoilt()
    (folder / 'model.safetensors').write_text('version https://git-lfs.github.com/spec/v1\n' * 9)
    with pytest.raises(WeightsInvalidError, match='cannot be read as safetensors'):
        build(folder)


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(spoilt, bad):
    folder = spoilt()

    def spoil(weights):
        weights['class_labels_classifier.bias'][1] = bad
        return weights

    rewrite_weights(folder, spoil)
    message = 'expected finite weights, got NaN or infinity in class_labels_classifier.bias. The'
    with pytest.raises(WeightsInvalidError, match=message):
        build(folder)


@pytest.mark.parametrize('task', BUILD)
def test_no_weight_can_be_missing(task, tiny, spoilt):
    """Whichever weight is taken out, the network is not built."""
    folder = spoilt(task)
    weights = load_file(tiny[task] / 'model.safetensors')
    for name in sorted(weights)[::12]:
        rest = {key: value for key, value in weights.items() if key != name}
        save_file(rest, folder / 'model.safetensors', metadata={'format': 'pt'})
        with pytest.raises(WeightsInvalidError, match='got weights that are missing: '):
            BUILD[task](str(folder), device='cpu')


def test_many_missing_weights_are_counted(spoilt):
    folder = spoilt()
    rewrite_weights(
        folder, lambda weights: {k: v for k, v in weights.items() if 'decoder' not in k}
    )
    message = (
        r'expected the weights to fit config.json, got weights that are missing: '
        r'model.decoder\S+, model.decoder\S+, model.decoder\S+ and \d+ more. The two files'
    )
    with pytest.raises(WeightsInvalidError, match=message):
        build(folder)


def test_the_body_alone_has_no_answers(spoilt):
    folder = spoilt()
    rewrite_weights(
        folder, lambda weights: {k: v for k, v in weights.items() if k.startswith('model.')}
    )
    with pytest.raises(WeightsInvalidError, match='weights that are missing: bbox_predictor'):
        build(folder)


def test_a_weight_of_another_shape_is_refused(spoilt):
    folder = spoilt()

    def widen(weights):
        weights['class_labels_classifier.bias'] = torch.zeros(9)
        return weights

    rewrite_weights(folder, widen)
    message = 'got weights of another shape: class_labels_classifier.bias'
    with pytest.raises(WeightsInvalidError, match=message):
        build(folder)


def test_layers_that_the_config_leaves_out_are_noticed(spoilt):
    folder = spoilt()
    rewrite_config(folder, decoder_layers=1)
    message = r'got layers that the config leaves out: model.decoder.layers.1'
    with pytest.raises(WeightsInvalidError, match=message):
        build(folder)


def test_weights_of_no_use_are_only_mentioned(spoilt, caplog):
    folder = spoilt()
    extra = {
        'classifier.weight': torch.zeros(3),
        'model.backbone.conv_encoder.model.bn1.num_batches_tracked': torch.zeros(1),
    }
    rewrite_weights(folder, lambda weights: weights | extra)
    with caplog.at_level(logging.WARNING):
        build(folder)
    assert 'weights that the network has no use for: classifier.weight' in caplog.text
    assert 'num_batches_tracked' not in caplog.text


def test_a_config_that_cannot_be_built_is_refused(spoilt):
    folder = spoilt()
    rewrite_config(folder, d_model='wide')
    message = r'transformers \S+ cannot build the network \(.*Use a checkpoint saved for this'
    with pytest.raises(WeightsInvalidError, match=message):
        build(folder)


def test_transformers_is_left_as_talkative_as_it_was(tiny, capfd):
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    build(tiny['detector'])
    assert (log.get_verbosity(), log.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ('', '')
