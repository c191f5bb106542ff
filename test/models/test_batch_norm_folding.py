"""Networks before and after folding of batch normalization into convolutions."""

import copy

from checkpoints import DETECTORS, raw_network
import pytest
import torch
from torch import nn

from robot_perception.models.families import FAMILIES
from robot_perception.models.families.batch_norm_folding import fold_batch_norm

# Statistics of a new network would make normalization the identity.
SPREAD = (0.5, 2.0)


def with_statistics(network):
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if type(module).__name__.endswith('BatchNorm2d'):
            for values in (module.weight, module.running_var):
                values.data.uniform_(*SPREAD, generator=generator)
            for values in (module.bias, module.running_mean):
                values.data.normal_(generator=generator)
    return network


def kinds(network):
    return [type(module).__name__ for module in network.modules()]


# The others normalize layers.
@pytest.mark.parametrize('family', sorted(set(DETECTORS) - {'yolos', 'rf_detr'}))
@pytest.mark.slow
def test_outputs_stay(family, detector_folder):
    network = with_statistics(
        raw_network(detector_folder(family), FAMILIES['detector'][family].network_class)
    )
    folded = copy.deepcopy(network)
    fold_batch_norm(folded)
    assert any(kind.endswith('BatchNorm2d') for kind in kinds(network))
    assert not any(kind.endswith('BatchNorm2d') for kind in kinds(folded))
    pixels = torch.rand((1, 3, 96, 128), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = network(pixel_values=pixels), folded(pixel_values=pixels)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.pred_boxes, expected.pred_boxes, rtol=1e-4, atol=1e-4)
    with_other_statistics = with_statistics(copy.deepcopy(network))
    for module in with_other_statistics.modules():
        if type(module).__name__.endswith('BatchNorm2d'):
            module.running_mean += 1
    with torch.inference_mode():
        other = with_other_statistics(pixel_values=pixels)
    assert (other.logits - expected.logits).abs().max() > 1e-3


@pytest.mark.parametrize('family', ['rt_detr', 'rt_detr_v2', 'd_fine'])
def test_parallel_convolutions_are_merged(family, detector_folder):
    network = raw_network(detector_folder(family), FAMILIES['detector'][family].network_class)
    assert any(kind.endswith('RepVggBlock') for kind in kinds(network))
    fold_batch_norm(network)
    assert not any(kind.endswith('RepVggBlock') for kind in kinds(network))


def test_other_normalization_stays():
    network = nn.Module()
    network.conv, network.norm = nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)
    fold_batch_norm(network)
    assert isinstance(network.norm, nn.GroupNorm)
    assert network.conv.bias is not None
