"""What is done by default only where the networks run on a GPU."""

import pytest

from robot_perception import models
from robot_perception.pipeline import batches_cameras, overlaps_outputs, PerceptionConfig

OPTIONS = {'batch_cameras': batches_cameras, 'overlap_outputs': overlaps_outputs}


@pytest.mark.parametrize('option', OPTIONS)
@pytest.mark.parametrize(
    ('preset', 'device', 'choice', 'expected'),
    [
        ('demo', 'cpu', 'auto', False),
        ('demo', 'cuda:0', 'auto', True),
        ('stub', 'cuda:0', 'auto', False),
        ('demo', 'cpu', 'always', True),
        ('stub', 'cpu', 'always', True),
        ('demo', 'cuda:0', 'never', False),
    ],
)
def test_each_is_done_on_a_gpu_or_where_it_is_set(
    monkeypatch, option, preset, device, choice, expected
):
    # As on a machine with a GPU.
    monkeypatch.setattr(models, 'check_device', lambda name: name)
    config = PerceptionConfig.from_preset(preset, {'device': device, option: choice})
    assert OPTIONS[option](config) is expected
    others = [is_done for name, is_done in OPTIONS.items() if name != option]
    by_default = preset != 'stub' and device != 'cpu'
    assert [is_done(config) for is_done in others] == [by_default]
