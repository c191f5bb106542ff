"""Faults of a runtime that the comparison with torch in fp32 finds, in the demo networks.

The network that the runtime computes has the fault in its weights or layers.
"""

import importlib

import pytest
import torch
from torch import nn

from robot_perception.models import find_checkpoint, UploadedImage
from robot_perception.models.device import DeviceSpec
from robot_perception.models.families import FAMILIES
from robot_perception.models.runtimes import RUNTIMES
from robot_perception.models.runtimes.cache import CompiledFiles
from robot_perception.models.runtimes.eager import EagerNetwork
from robot_perception.models.runtimes.self_check import measure, reference_picture, tolerance

pytestmark = pytest.mark.slow

CPU = DeviceSpec(torch.device('cpu'), 'fp32')
STAGES = ('features', 'depth', 'detector', 'segmenter')


def weights(modules):
    """Return those of the middle one of the matrix products that have at least 64x64."""
    layers = [
        one.weight for one in modules if isinstance(one, nn.Linear) and min(one.weight.shape) >= 64
    ]
    return layers[len(layers) // 2]


def scale_block(modules, factor=1.1):
    weights(modules)[:64, :64] *= factor


def flip_sign(modules):
    values = weights(modules)
    values.view(-1)[values.abs().argmax()] *= -1


def round_to_int8(modules):
    values = weights(modules)
    scale = values.abs().max() / 127
    values.copy_((values / scale).round() * scale)


def round_to_bf16(values):
    """Keep 8 bits by arithmetic (Veltkamp); OpenVINO in fp32 leaves conversions to bf16 out."""
    split = values * (2**16 + 1)
    return split - (split - values)


def normalize_in_bf16(modules):
    norms = [one for one in modules if isinstance(one, nn.LayerNorm)]
    norms[len(norms) // 2].register_forward_hook(
        lambda _module, _inputs, output: round_to_bf16(output)
    )


def set_nan(modules):
    weights(modules)[0, 0] = torch.nan


FAULTS = (scale_block, flip_sign, round_to_int8, normalize_in_bf16, set_nan)


class Stage:
    """The first network of a stage of the demo networks, and its input on the picture."""

    def __init__(self, name):
        checkpoint = find_checkpoint('demo', name)
        row = FAMILIES[checkpoint.task][checkpoint.family]
        family = getattr(importlib.import_module(row.module), row.family)
        self.name = name
        self._load = lambda: family(checkpoint, 0).networks[0]
        picture = UploadedImage(reference_picture((240, 320)))
        with torch.inference_mode():
            self._pixels = family(checkpoint, 0).prepare(picture.on(CPU.device))
            network = self._load()
            self._used = []
            for path, module in network.network.named_modules():
                module.register_forward_hook(lambda *_, path=path: self._used.append(path))
            self._expected = network.call(self._pixels)

    def difference(self, fault, runtime='torch', **options):
        """Return that of the outputs of a runtime with a fault to torch in fp32 without."""
        network = self._load()
        with torch.no_grad():
            fault([network.network.get_submodule(path) for path in self._used], **options)
        if runtime == 'torch':
            computed = EagerNetwork(network, CPU)
        else:
            row = RUNTIMES[runtime]
            kind = getattr(importlib.import_module(row.module), row.name)
            files = CompiledFiles(network, fault.__name__, row.libraries)
            computed = kind(network, CPU, files, max_shapes=1)
        with torch.inference_mode():
            return measure(self.name, self._expected, computed(self._pixels))


@pytest.fixture(scope='module', params=STAGES)
def stage(request):
    return Stage(request.param)


@pytest.mark.parametrize('fault', FAULTS)
def test_a_fault_is_found(stage, fault):
    found = stage.difference(fault)
    print(stage.name, fault.__name__, found)
    assert found.exceeds(tolerance(stage.name, 'fp32'))


@pytest.mark.parametrize('runtime', RUNTIMES)
@pytest.mark.parametrize('fault', FAULTS)
def test_a_fault_that_was_compiled_is_found(stage, fault, runtime, tmp_path, monkeypatch):
    for library in RUNTIMES[runtime].libraries:
        pytest.importorskip(library, reason='an extra')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    found = stage.difference(fault, runtime)
    print(stage.name, fault.__name__, runtime, found)
    assert found.exceeds(tolerance(stage.name, 'fp32'))


@pytest.mark.parametrize(
    ('name', 'error'),
    [('features', 3e-4), ('depth', 3e-3), ('detector', 3e-3), ('segmenter', 3e-4)],
)
def test_the_smallest_error_of_a_block_that_is_found(name, error):
    stage = Stage(name)
    limit = tolerance(name, 'fp32')
    assert stage.difference(scale_block, factor=1 + error).exceeds(limit)
    assert not stage.difference(scale_block, factor=1 + error / 10).exceeds(limit)
