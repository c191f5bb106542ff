"""Accuracy in a runtime beside torch in fp32, on rendered scenes."""

import textwrap

import numpy as np
import pytest

pytest.importorskip('open3d')

from robot_perception.cli.rendered_truth import ground_truth
from robot_perception.evaluation import AccuracyDifference, compare_accuracy
from robot_perception.evaluation.bootstrap import Estimate
from robot_perception.models import build_depth_estimator, UploadedImage
from robot_perception.models.runtimes import choice, RuntimeRow
from robot_perception.pipeline import PerceptionConfig
from robot_perception.world import render

pytestmark = pytest.mark.slow
FACTOR = 1.000008
RUNTIME = f"""
    class Farther:
        def __init__(self, network, placement, files, max_shapes):
            self._call = network.call
            self._factor = {FACTOR} if 'Depth' in type(network.network).__name__ else 1

        def __call__(self, *inputs):
            return tuple(one * self._factor for one in self._call(*inputs))
    """


def test_the_difference_is_that_of_the_metrics_with_an_interval_over_frames(tmp_path, monkeypatch):
    (tmp_path / 'farther_runtime.py').write_text(textwrap.dedent(RUNTIME))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    row = RuntimeRow('farther_runtime', 'Farther', ('torch',), 'openvino', {'cpu': ('fp32',)})
    monkeypatch.setitem(choice.RUNTIMES, 'openvino', row)
    off = {f'{stage}.enabled': False for stage in ('features', 'segmenter')}
    config = PerceptionConfig.from_preset('demo', {**off, 'device': 'cpu', 'cpu_threads': 1})
    frames = [ground_truth(render(900000 + index, (120, 160))) for index in range(3)]
    rows = {one.metric: one for one in compare_accuracy(config, frames, ['torch', 'openvino'])}
    assert list(rows) == ['AP', 'AbsRel', 'mask IoU']
    assert {one.runtime for one in rows.values()} == {'openvino'}, 'torch is the reference'
    assert rows['AP'].backends == {'detector': 'openvino fp32', 'depth': 'openvino fp32'}
    assert rows['AP'].reference > 0
    assert rows['AP'].difference == Estimate(0, 0, 0)
    assert (rows['mask IoU'].reference, rows['mask IoU'].is_kept) == (None, True)

    depth = build_depth_estimator('demo', device='cpu', precision='fp32')
    errors = []
    for frame in frames:
        found, true = depth.estimate(UploadedImage(frame.image)).meters, frame.depth.meters
        known = np.isfinite(true)
        errors.append(
            [
                np.mean(np.abs(factor * found - true)[known] / true[known], dtype=np.float64)
                for factor in (1, FACTOR)
            ]
        )
    before, after = np.transpose(errors)
    assert rows['AbsRel'].reference == pytest.approx(before.mean(), rel=1e-5)
    difference = rows['AbsRel'].difference
    assert difference.value == pytest.approx(after.mean() / before.mean() - 1, abs=1e-5)
    each, rounding = after / before - 1, 1e-5
    assert each.min() - rounding <= difference.low <= difference.value
    assert difference.value <= difference.high <= each.max() + rounding


@pytest.mark.parametrize(
    ('limit', 'low', 'high', 'kept'),
    [
        (-0.005, -0.004, 0.1, True),
        (-0.005, -0.006, 0.1, False),
        (0.01, -0.5, 0.009, True),
        (0.01, -0.5, 0.011, False),
        (0.01, None, None, False),
    ],
)
def test_the_worse_end_of_the_interval_decides(limit, low, high, kept):
    one = AccuracyDifference('openvino', {}, '', 0.5, Estimate(0.0, low, high), limit)
    assert one.is_kept == kept
