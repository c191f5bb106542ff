import re

from checkpoints import sample_image
import pytest
from reasons import raises
import torch

from robot_perception.core.errors import ConfigError, DeviceUnavailableError
from robot_perception.models import build_feature_extractor, UploadedImage
from robot_perception.models.device import choose_device


@pytest.fixture
def gpus(monkeypatch):
    """Simulate a machine with a number of GPUs."""

    def set_count(count):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: count > 0)
        monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)

    return set_count


@pytest.mark.parametrize(
    ('count', 'device', 'precision', 'expected'),
    [
        (0, 'auto', 'auto', ('cpu', 'fp32')),
        (0, 'cpu', 'bf16', ('cpu', 'bf16')),
        (0, 'cpu', 'fp16', ('cpu', 'fp16')),
        (2, 'auto', 'auto', ('cuda:0', 'fp16')),
        (2, 'cuda', 'fp32', ('cuda:0', 'fp32')),
        (2, 'cuda:1', 'bf16', ('cuda:1', 'bf16')),
        (2, 'cpu', 'auto', ('cpu', 'fp32')),
    ],
)
def test_device_and_precision(gpus, count, device, precision, expected):
    gpus(count)
    device_spec = choose_device(device, precision)
    assert (str(device_spec.device), device_spec.precision) == expected


@pytest.mark.parametrize(
    ('count', 'device', 'available'),
    [
        (0, 'cuda', 'cpu'),
        (0, 'cuda:3', 'cpu'),
        (1, 'cuda:1', 'cpu, cuda:0'),
    ],
)
def test_a_missing_gpu_is_an_error_that_lists_the_devices(gpus, count, device, available):
    gpus(count)
    message = f'device: expected one of this machine ({available}), got {device!r}.'
    with raises(DeviceUnavailableError, 'missing_device', re.escape(message)):
        choose_device(device, 'auto')


@pytest.mark.skipif(torch.version.cuda is not None, reason='torch is built with CUDA')
def test_the_error_mentions_a_build_without_cuda(tiny):
    with raises(
        DeviceUnavailableError, 'missing_device', r'torch \S+ is built without CUDA. Use auto'
    ):
        build_feature_extractor(str(tiny['features']), device='cuda')


@pytest.mark.parametrize('device', ['gpu', 'cuda:', 'cuda:-1', 'CPU', ''])
def test_unknown_devices_are_rejected(device):
    with raises(ConfigError, 'unknown_choice'):
        choose_device(device, 'auto')


def test_unknown_precisions_are_rejected():
    with raises(ConfigError, 'unknown_choice'):
        choose_device('cpu', 'int8')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_agrees_with_the_cpu(tiny):
    frame = UploadedImage(sample_image(96, 128))
    on_cpu, on_gpu = (
        build_feature_extractor(str(tiny['features']), device=device, precision='fp32')
        .extract(frame)
        .vector
        for device in ('cpu', 'cuda')
    )
    assert on_gpu == pytest.approx(on_cpu, abs=0.05)
