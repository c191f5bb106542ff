"""The tracker of SAM 3, compared with transformers."""

from checkpoints import raw_network, read_network, rewrite_config, sample_image
import numpy as np
import pytest
from reasons import raises
from segmenter_checkpoints import (
    BOXES,
    published_maps,
    SAM3_SIDE,
    write_sam3_tracker,
    write_sam3_video,
)
import torch
from torch.nn import functional

from robot_perception.core.errors import ConfigError, ModelError
from robot_perception.models import build_detector, build_segmenter, UploadedImage

IMAGE = UploadedImage(sample_image(80, 100))


@pytest.fixture(scope='module')
def tracker(tmp_path_factory):
    return write_sam3_tracker(tmp_path_factory.mktemp('sam3_tracker'))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_sam3_video(tmp_path_factory.mktemp('sam3_video'))


def build(folder, **options):
    return build_segmenter(str(folder), device='cpu', **{'precision': 'fp32', **options})


def segment(adapter):
    return adapter.segment(adapter.encode(IMAGE), BOXES)


def decode(network, **inputs):
    """Return masks and scores of the boxes, as transformers makes them."""
    scale = torch.tensor([SAM3_SIDE / 100, SAM3_SIDE / 80] * 2)
    boxes = (torch.from_numpy(BOXES) * scale)[None]
    with torch.inference_mode():
        output = network(input_boxes=boxes, multimask_output=False, **inputs)
        full = functional.interpolate(output.pred_masks[0], (80, 100), mode='bilinear')
    return (full[:, 0] > 0).numpy(), output.iou_scores[0, :, 0].clamp(0, 1).numpy()


def check_masks(found, pixels, scores):
    np.testing.assert_array_equal(found.pixels, pixels)
    np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-5)
    assert all(0 < mask.mean() < 1 for mask in pixels)
    assert len(np.unique(pixels, axis=0)) == 3


def test_equals_transformers(tracker):
    adapter = build(tracker)
    network = raw_network(tracker, 'Sam3TrackerModel')
    check_masks(segment(adapter), *decode(network, pixel_values=adapter.prepare(IMAGE)))


def test_the_tracker_of_a_published_checkpoint_encodes_as_for_videos(video):
    adapter = build(video)
    pixels = adapter.prepare(IMAGE)
    with torch.inference_mode():
        maps = raw_network(video, 'Sam3TrackerVideoModel').get_image_embeddings(pixels)
    found = adapter.encode(IMAGE)
    for one, other in zip(published_maps(found.feature_maps), maps, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    network = raw_network(video, 'Sam3TrackerModel')
    check_masks(segment(adapter), *decode(network, image_embeddings=maps))


def test_inputs_are_normalized_to_one(tracker):
    image = sample_image(SAM3_SIDE, SAM3_SIDE)
    expected = (image.rgb / 127.5 - 1).transpose(2, 0, 1)[None]
    found = build(tracker).prepare(UploadedImage(image))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize('name', ['tracker', 'video'])
def test_another_input_size_is_what_transformers_computes_at_that_size(name, request):
    folder, side = request.getfixturevalue(name), 168
    adapter = build(folder, input_size=side)
    pixels = adapter.prepare(IMAGE)
    assert pixels.shape == (1, 3, side, side)
    network = read_network(adapter)
    assert network.config.vision_config.backbone_feature_sizes == [[48, 48], [24, 24], [12, 12]]
    assert network.prompt_encoder.image_embedding_size == (12, 12)
    positions = network.vision_encoder.backbone.layers[1].position_ids
    assert positions.shape == (144, 2)
    assert segment(adapter).pixels.shape == (3, 80, 100)
    with raises(ConfigError, 'out_of_range', 'expected a multiple of 14 pixels'):
        build(folder, input_size=100)


def test_positions_fit_no_smaller_input(tracker):
    adapter = build(tracker, small_inputs=True)
    assert not adapter.has_small_inputs
    small = UploadedImage(IMAGE.image, small_inputs=True)
    assert adapter.prepare(small).shape[-1] == SAM3_SIDE


def test_it_is_no_detector(video):
    with raises(ModelError, 'wrong_task', "got 'sam3_video', which is for segmenter"):
        build_detector(str(video), device='cpu')


def test_the_detector_alone_is_refused(tracker, tmp_path):
    import shutil

    folder = shutil.copytree(tracker, tmp_path / 'copy')
    rewrite_config(folder, model_type='sam3')
    message = "got 'sam3', which is not supported. Nearest: sam3_video."
    with raises(ModelError, 'unsupported_architecture', message):
        build(folder)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_lower_precision_is_close(tracker, precision):
    full, low = (segment(build(tracker, precision=value)) for value in ('fp32', precision))
    assert np.mean(full.pixels == low.pixels) > 0.95
    np.testing.assert_allclose(full.scores, low.scores, atol=0.05)
