"""Accuracy in a runtime beside torch in fp32, on rendered scenes."""

import itertools
import textwrap

import numpy as np
import pytest

pytest.importorskip('open3d')

from robot_perception.cli.rendered_truth import ground_truth
from robot_perception.core import Stage
from robot_perception.evaluation import AccuracyDifference, compare_accuracy
from robot_perception.evaluation.bootstrap import Estimate
from robot_perception.models import (
    Backend,
    build_depth_estimator,
    build_feature_extractor,
    UploadedImage,
)
from robot_perception.models.runtimes import choice, RuntimeRow
from robot_perception.pipeline import PerceptionConfig
from robot_perception.world import render

pytestmark = pytest.mark.slow
BF16 = (('openvino', 'bf16'), ('torch', 'bf16'))
DEPTH_FACTORS = {'fp32': 1.000008, 'bf16': 1.004}
FEATURE_FACTOR = 1.02
RUNTIME = f"""
    import torch

    class Farther:
        def __init__(self, network, placement, files, max_shapes):
            self._call, self._precision = network.call, placement.precision
            self._name = type(network.network).__name__

        def __call__(self, *inputs):
            found = self._call(*inputs)
            if 'Depth' in self._name:
                return tuple(one * {DEPTH_FACTORS}[self._precision] for one in found)
            if 'Dinov2' in self._name and self._precision == 'bf16':
                factors = torch.ones(found[0].shape[-1])
                factors[::2] = {FEATURE_FACTOR}
                return (found[0] * factors,)
            return found
    """


def test_the_difference_is_that_of_the_metrics_with_an_interval_over_frames(tmp_path, monkeypatch):
    (tmp_path / 'farther_runtime.py').write_text(textwrap.dedent(RUNTIME))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    row = RuntimeRow(
        'farther_runtime', 'Farther', ('torch',), 'openvino', {'cpu': ('fp32', 'bf16')}
    )
    monkeypatch.setitem(choice.RUNTIMES, 'openvino', row)
    monkeypatch.setattr(choice, 'has_bf16_instructions', lambda: True)
    off = {'segmenter.enabled': False, 'device': 'cpu', 'cpu_threads': 1}
    config = PerceptionConfig.from_preset('demo', off)
    frames = [ground_truth(render(900000 + index, (120, 160))) for index in range(3)]
    found = compare_accuracy(config, frames, runtimes=['torch', 'openvino'])
    rows = {(one.metric, *one.backend): one for one in found}
    # No layer of this detector is computed in bf16 by choice, and torch in fp32 is the reference.
    assert set(rows) == {
        ('AP', 'openvino', 'fp32'),
        *(
            (metric, runtime, precision)
            for metric in ('AbsRel', 'cosine')
            for runtime, precision in (('openvino', 'fp32'), *BF16)
        ),
    }
    precision = rows['AP', 'openvino', 'fp32']
    assert precision.reference > 0
    assert precision.difference == Estimate(0, 0, 0)
    assert [one.stage for one in found if one.metric == 'cosine'] == ['features'] * 3
    (only,) = compare_accuracy(config, frames, runtimes=['openvino'], precisions=['bf16'])[:1]
    assert only == rows['AbsRel', 'openvino', 'bf16']

    depth = build_depth_estimator('demo', device='cpu', precision='fp32')
    pictures = [UploadedImage(frame.image) for frame in frames]
    for kind, factor in DEPTH_FACTORS.items():
        errors = []
        for frame, picture in zip(frames, pictures, strict=True):
            meters, true = depth.estimate(picture).meters, frame.depth.meters
            known = np.isfinite(true)
            errors.append(
                [
                    np.mean(np.abs(one * meters - true)[known] / true[known], dtype=np.float64)
                    for one in (1, factor)
                ]
            )
        _check_difference(rows['AbsRel', 'openvino', kind], np.array(errors).T)

    features = build_feature_extractor('demo', device='cpu', precision='fp32')
    squares = np.array([features.extract(one).vector ** 2 for one in pictures], np.float64)
    even, odd = squares[:, ::2].sum(axis=1), squares[:, 1::2].sum(axis=1)
    cosines = (FEATURE_FACTOR * even + odd) / np.sqrt(
        (even + odd) * (FEATURE_FACTOR**2 * even + odd)
    )
    difference = rows['cosine', 'openvino', 'bf16'].difference
    assert rows['cosine', 'openvino', 'bf16'].reference == pytest.approx(1)
    assert difference.value == pytest.approx(cosines.mean() - 1, abs=1e-7)
    assert 0 < -rows['cosine', 'torch', 'bf16'].difference.value < 0.002


def _check_difference(row, errors):
    """Compare with the figures of all 27 resamples of three frames, which are drawn alike."""
    before, after = errors
    drawn = [list(one) for one in itertools.product(range(3), repeat=3)]
    ratios = [after[one].mean() / before[one].mean() - 1 for one in drawn]
    assert row.reference == pytest.approx(before.mean(), rel=1e-5)
    low, high = np.percentile(ratios, (2.5, 97.5), method='inverted_cdf')
    expected = Estimate(after.mean() / before.mean() - 1, low, high)
    for name in ('value', 'low', 'high'):
        found, wanted = getattr(row.difference, name), getattr(expected, name)
        assert found == pytest.approx(wanted, abs=1e-5), name


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
    estimate = Estimate(0.0, low, high)
    one = AccuracyDifference(Stage.DEPTH, Backend('openvino', 'fp32'), '', 0.5, estimate, limit)
    assert one.is_kept == kept
