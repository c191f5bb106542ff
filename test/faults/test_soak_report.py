"""The verdict on a long run, on series whose truth is known."""

import numpy as np
import pytest
from reasons import raises
from scipy.stats import theilslopes

from robot_perception.core import ProcessUse
from robot_perception.core.errors import PerceptionError
from robot_perception.faults.observation import Counts
from robot_perception.faults.soak_report import Delay, judge, Sample

COUNTS = Counts(36_000, 6_000, {'newer_frame': 30_000}, {}, 0)
MINUTES = 60


def series(
    slope=0.0,
    *,
    threads=lambda _: 20,
    files=lambda _: 27,
    shared=lambda _: 5,
    step_at=None,
    step=30.0,
):
    """Return a sample every 5 s: noise of 1 MiB around a line, MiB per minute."""
    seconds = range(0, MINUTES * 60, 5)
    noise = np.random.default_rng(0).normal(0, 1, len(seconds)).tolist()
    samples = []
    for second, jitter in zip(seconds, noise, strict=True):
        rss = 250 + jitter + slope * second / 60
        if step_at is not None and second >= step_at * 60:
            rss += step
        use = ProcessUse(rss + shared(second), shared(second), rss, threads(second), files(second))
        samples.append(Sample(float(second), use, second / 2))
    return samples


def delays(second_half=1.0):
    draws = np.random.default_rng(1).gamma(4, 0.01, 6_000)
    seconds = np.linspace(0, MINUTES * 60, len(draws))
    return [
        Delay(at, draw * (second_half if at > 1805 else 1))
        for at, draw in zip(seconds.tolist(), draws.tolist(), strict=True)
    ]


def failed(report):
    return [check.name.split(',')[0].split('/')[0] for check in report.checks if not check.passed]


def test_a_steady_node_passes():
    report = judge(series(), delays(), 36_010, COUNTS)
    assert report.passed
    assert not report.found_leak
    assert (report.rate_hz, report.published_hz) == pytest.approx((10, 1.67), abs=0.02)
    assert report.cpu_s_per_frame == pytest.approx((0.3, 0.3), rel=0.02)


@pytest.mark.parametrize(
    ('samples', 'problem'),
    [
        (series(0.5), 'memory slope of the second half'),
        (series(step_at=54), 'memory growth of the second half'),
        (series(threads=lambda second: 20 + (second == 3000)), 'threads: largest minus smallest'),
        (series(files=lambda second: 27 + second // 3000), 'files: largest minus smallest'),
    ],
)
def test_growth_of_the_second_half_fails(samples, problem):
    (found,) = failed(judge(samples, delays(), 36_000, COUNTS))
    assert found.startswith(problem)


def test_growth_of_the_first_half_and_of_shared_memory_passes():
    changing = series(
        step_at=20,
        shared=lambda second: second / 60,
        threads=lambda second: 15 + min(second // 60, 5),
    )
    assert judge(changing, delays(), 36_000, COUNTS).passed


def test_the_leak_of_the_control_is_found_by_memory():
    # 1 KiB at 10 Hz; the growth alone would take an hour to exceed its limit.
    leaking = judge(series(10 * 60 / 1024), delays(), 36_000, COUNTS)
    assert leaking.found_leak
    assert not judge(series(), delays(2.0), 36_000, COUNTS).found_leak


def test_the_slope_is_that_of_theil_and_sen():
    samples = series(0.2, step_at=50)
    half = [one for one in samples if one.seconds >= (10 + samples[-1].seconds) / 2]
    expected = theilslopes(
        [one.use.rss_mib for one in half], [one.seconds / 60 for one in half]
    ).slope
    report = judge(samples, delays(), 36_000, COUNTS)
    (slope,) = [check.value for check in report.checks if 'slope' in check.name]
    assert slope == pytest.approx(expected, rel=1e-9)


def test_later_outputs_and_frames_that_are_not_accounted_for_fail():
    assert failed(judge(series(), delays(1.3), 36_000, COUNTS)) == ['p99 delay']
    lost = Counts(36_000, 6_000, {'newer_frame': 29_999}, {}, 0)
    assert failed(judge(series(), delays(), 36_000, lost)) == ['frames unaccounted for']


def test_memory_of_a_gpu_may_grow_by_one_percent():
    def report(growth):
        with_gpu = [
            Sample(one.seconds, one.use, one.cpu_s, 1000 * (1 + growth * (one.seconds > 3000)))
            for one in series()
        ]
        return judge(with_gpu, delays(), 36_000, COUNTS)

    assert report(0.009).passed
    assert failed(report(0.011)) == ['memory of the GPU: relative growth']


def test_a_run_that_is_too_short_cannot_be_judged():
    with raises(PerceptionError, 'too_short'):
        judge(series()[:4], delays()[:100], 200, COUNTS)
