"""The contract that all networks and stubs fulfill."""

from dataclasses import fields

from checkpoints import (
    DETECTORS,
    read_network,
    sample_image,
)
import numpy as np
import pytest
from segmenter_checkpoints import SEGMENTERS
import torch

from robot_perception.core import Detections, Image, Masks, MetricDepth, RelativeDepth
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    STUB,
    UploadedImage,
)

SIZES = [(1, 1), (13, 17), (64, 48), (641, 479)]
BOXES = np.array([[0, 0, 0.5, 0.5], [2, 3, 11, 9]], np.float32)

RUN = {
    'features': lambda network, frame: network.extract(frame),
    'depth': lambda network, frame: network.estimate(frame),
    'detector': lambda network, frame: network.detect(frame, threshold=0.1, max_objects=7),
    'segmenter': lambda network, frame: network.segment(network.encode(frame), BOXES),
}
BUILD = {
    'features': build_feature_extractor,
    'depth': build_depth_estimator,
    'detector': build_detector,
    'segmenter': build_segmenter,
}
INPUT_SIZE = {'features': 56, 'depth': 70, 'detector': 96, 'segmenter': 64}
# Of networks whose inputs are multiples of another number.
OTHER_INPUT_SIZE = {'sam3_tracker': 56, 'sam3_video': 56}
NETWORKS = [
    *((task, 'tiny') for task in BUILD),
    *((task, STUB) for task in BUILD),
    *(('detector', family) for family in DETECTORS),
    *(('segmenter', family) for family in SEGMENTERS),
]


@pytest.fixture(scope='module', params=NETWORKS, ids='-'.join)
def network(request, tiny, detector_folder, segmenter_folder):
    """A task and a network for it."""
    task, kind = request.param
    if kind == 'tiny':
        model = str(tiny[task])
    else:
        find = segmenter_folder if task == 'segmenter' else detector_folder
        model = kind if kind == STUB else str(find(kind))
    input_size = OTHER_INPUT_SIZE.get(kind, INPUT_SIZE[task])
    return task, BUILD[task](model, device='cpu', input_size=input_size)


def arrays(result):
    return [
        value
        for field in fields(result)
        if isinstance(value := getattr(result, field.name), np.ndarray)
    ]


@pytest.mark.parametrize('size_hw', SIZES, ids=str)
def test_any_size_gives_a_result_of_that_size(network, size_hw):
    task, model = network
    found = RUN[task](model, UploadedImage(sample_image(*size_hw)))
    assert all(not array.flags.writeable for array in arrays(found))
    if task == 'features':
        assert found.patches.shape[2] == len(found.vector)
    elif task == 'depth':
        assert isinstance(found, MetricDepth | RelativeDepth)
        assert found.size_hw == size_hw
    elif task == 'detector':
        assert isinstance(found, Detections)
        assert len(found) <= 7
        assert np.all(found.boxes_xyxy >= 0)
        assert np.all(found.boxes_xyxy[:, ::2] <= size_hw[1])
        assert np.all(found.boxes_xyxy[:, 1::2] <= size_hw[0])
    else:
        assert isinstance(found, Masks)
        assert found.pixels.shape == (2, *size_hw)


def test_the_same_image_gives_the_same_result(network):
    task, model = network
    first, second = (arrays(RUN[task](model, UploadedImage(sample_image()))) for _ in range(2))
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    # The stub's ellipses depend on the boxes only.
    'network',
    [item for item in NETWORKS if item != ('segmenter', STUB)],
    indirect=True,
    ids='-'.join,
)
def test_another_image_gives_another_result(network):
    task, model = network
    images = [Image(np.full((48, 64, 3), value, np.uint8)) for value in (10, 240)]
    first, second = (arrays(RUN[task](model, UploadedImage(image))) for image in images)
    assert not all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def test_an_image_is_uploaded_once_and_not_modified(network):
    task, model = network
    frame = UploadedImage(sample_image())
    pixels = frame.on(torch.device('cpu'))
    before = pixels.clone()
    RUN[task](model, frame)
    assert frame.on(torch.device('cpu')) is pixels
    assert torch.equal(pixels, before)


@pytest.mark.parametrize(
    'network', [item for item in NETWORKS if item[1] != STUB], indirect=True, ids='-'.join
)
def test_dropout_is_off(network):
    assert not read_network(network[1]).training


@pytest.mark.parametrize('kind', ['tiny', STUB])
def test_no_boxes_give_no_masks(kind, tiny):
    model = build_segmenter(str(tiny['segmenter']) if kind == 'tiny' else STUB, device='cpu')
    found = model.segment(
        model.encode(UploadedImage(sample_image(13, 17))), np.zeros((0, 4), np.float32)
    )
    assert (len(found), found.size_hw) == (0, (13, 17))


def test_one_upload_serves_all(tiny, monkeypatch):
    uploads = []
    from_numpy = torch.from_numpy
    monkeypatch.setattr(
        torch,
        'from_numpy',
        lambda array: (
            (uploads.append(1) if array.dtype == np.uint8 else None) or from_numpy(array)
        ),
    )
    frame = UploadedImage(sample_image())
    for task, build in BUILD.items():
        RUN[task](build(str(tiny[task]), device='cpu'), frame)
    assert len(uploads) == 1
