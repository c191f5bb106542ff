"""A family of another architecture, added from outside of the package."""

import textwrap

from checkpoints import ASPECT, CARD, sample_image
import numpy as np
import pytest
import torch
import transformers

from robot_perception.models import build_feature_extractor, UploadedImage
from robot_perception.models.families import FAMILIES, FamilyRow
from robot_perception.models.network import write_checkpoint

SOURCE = '''
from robot_perception.core import SceneFeatures
from robot_perception.models.families.interfaces import NamedNetwork
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BILINEAR, read_preprocessor
from robot_perception.models.resize import Exactly


class Regnet:
    """Channels of the last stage of a RegNet."""

    def __init__(self, checkpoint, input_size):
        network = load_network(checkpoint)
        side = input_size or 64
        self.prepare = read_preprocessor(
            checkpoint, Exactly(side, side), resample=BILINEAR, normalize=True
        )
        self.networks = (
            NamedNetwork('image', network, lambda pixels: (network(pixels).last_hidden_state,)),
        )

    def read(self, outputs, input_hw):
        patches = to_numpy(outputs[0][0].permute(1, 2, 0))
        return SceneFeatures('regnet', patches.mean(axis=(0, 1)), patches)
'''


@pytest.fixture
def regnet(tmp_path, monkeypatch):
    """A checkpoint of RegNet, and a family for it in a folder of its own."""
    (tmp_path / 'regnet_family.py').write_text(textwrap.dedent(SOURCE))
    monkeypatch.syspath_prepend(str(tmp_path))
    row = FamilyRow('RegNetModel', 'regnet_family', 'Regnet')
    monkeypatch.setitem(FAMILIES['features'], 'regnet', row)
    torch.manual_seed(0)
    config = transformers.RegNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], groups_width=8
    )
    network = transformers.RegNetModel(config).eval()
    write_checkpoint(network, tmp_path / 'checkpoint', ASPECT, CARD)
    return tmp_path / 'checkpoint', network


def test_a_family_is_a_file_and_a_row(regnet):
    folder, network = regnet
    stage = build_feature_extractor(str(folder), device='cpu', input_size=96)
    frame = UploadedImage(sample_image(48, 64))
    found = stage.extract(frame)
    with torch.inference_mode():
        expected = network(stage.prepare(frame)).last_hidden_state[0].permute(1, 2, 0)
    assert stage.prepare(frame).shape == (1, 3, 96, 96)
    np.testing.assert_allclose(found.patches, expected, atol=1e-5)
