"""When a stage is late, and when it hangs."""

import pytest

pytest.importorskip('rclpy')

from robot_perception.models.runtimes.long_work import compiling, generating, long_work
from robot_perception.nodes.stage_limits import StageLimits


@pytest.mark.parametrize(
    ('usual_s', 'seconds', 'late', 'hangs'),
    [
        (0.01, 1.9, False, False),
        (0.01, 2.1, True, False),
        (0.01, 4.9, True, False),
        (0.01, 5.1, True, True),
        (1.5, 4.4, False, False),
        (1.5, 4.6, True, False),
        (1.5, 14.9, True, False),
        (1.5, 15.1, True, True),
    ],
)
def test_limits_are_multiples_of_the_usual_time(usual_s, seconds, late, hangs):
    limits = StageLimits()
    limits.add({'depth': usual_s})
    found = limits.find_late({'depth': seconds})
    assert (found is not None, found is not None and found.hangs) == (late, hangs)


@pytest.mark.parametrize(('seconds', 'hangs'), [(50, False), (61, True)])
def test_the_first_run_may_take_longer(seconds, hangs):
    found = StageLimits().find_late({'depth': seconds})
    assert (found.hangs, found.why) == (hangs, 'its first run takes longer')


def test_a_stage_is_blamed_rather_than_the_pipeline_that_waits_for_it():
    limits = StageLimits()
    limits.add({'pipeline': 0.1, 'segmenter': 0.1, 'depth': 0.1})
    running = {'pipeline': 7.0, 'segmenter': 6.0, 'depth': 0.1}
    assert str(limits.find_late(running)) == 'segmenter has run for 6 s'
    assert limits.find_late({'pipeline': 7.0}).stage == 'pipeline'
    assert limits.find_late({}) is None


@pytest.mark.parametrize(
    ('mark', 'why'),
    [(compiling, 'its first run takes longer'), (generating, 'its network writes text')],
)
def test_long_work_is_late_and_does_not_hang(mark, why):
    limits = StageLimits()
    limits.add({'depth': 0.02})
    assert limits.find_late({'depth': 300.0}, why=long_work()).hangs
    with mark():
        late = limits.find_late({'depth': 300.0}, why=long_work())
        assert limits.find_late({'depth': 1000.0}, why=long_work()).hangs
    assert not late.hangs
    assert str(late).startswith(f'depth has run for 300 s: {why}')
    assert not long_work()
