"""The budget of the age of results, with simulated time and slowed networks."""

from itertools import pairwise

import numpy as np
import pytest

from robot_perception.pipeline import PerceptionConfig
from robot_perception.pipeline.budget import AgeBudget, LADDER

CONFIG = PerceptionConfig.from_preset('stub')
MASKS_S, FEATURES_S = 0.12, 0.06
# Times at smaller inputs, as a share of those at full ones.
SMALL = 0.5
RUNGS = [rung.name for rung in LADDER]


class Robot:
    """A camera of a period, and networks of which masks and features take the most time.

    Attributes:
        rest_s: seconds of all other networks.
        slow: factor of the seconds of masks and features.
        load: factor of the seconds of all networks at a time.
        published: (time, age, rung) of each result.
    """

    def __init__(self, max_age_s, rest_s, period_s=1 / 30, cameras=1):
        self.now_s = 0.0
        self.rest_s, self.slow, self.load = rest_s, 1.0, lambda _time_s: 1.0
        self.published, self.dropped = [], 0
        self._max_age_s, self._period_s, self._cameras = max_age_s, period_s, cameras
        self._budget = AgeBudget(has_small_inputs=True, now_s=lambda: self.now_s)
        self._frames, self._done = [0] * cameras, [-1] * cameras

    def _newest(self, camera):
        """Return the number of the newest image of a camera, and when it was taken."""
        offset_s = camera * self._period_s / self._cameras
        number = int((self.now_s - offset_s) // self._period_s)
        return number, number * self._period_s + offset_s

    def run(self, seconds):
        """Process the newest images in turn; return the ages of the results of this time."""
        end_s, before, camera = self.now_s + seconds, len(self.published), 0
        while self.now_s < end_s:
            for _ in range(self._cameras):
                camera = (camera + 1) % self._cameras
                number, taken_s = self._newest(camera)
                if number > self._done[camera]:
                    self._process(camera, number, taken_s)
                    break
            else:
                self.now_s += 0.001
        return np.array([age for _, age, _ in self.published[before:]])

    def _process(self, camera, number, taken_s):
        self._done[camera] = number
        begin = self._budget.begin(self.now_s - taken_s, self._max_age_s)
        if begin is None:
            self.dropped += 1
            return
        config, frame = self._budget.reduce(CONFIG, begin.rung), self._frames[camera]
        self._frames[camera] += 1
        seconds = self.rest_s
        seconds += self.slow * MASKS_S * (frame % config.segmenter.every_k == 0)
        seconds += self.slow * FEATURES_S * (frame % config.features.every_k == 0)
        self.now_s += seconds * self.load(self.now_s) * (SMALL if config.small_inputs else 1)
        age_s = self.now_s - taken_s
        self._budget.end(begin, age_s)
        self.published.append((self.now_s, age_s, self._budget.rung.name))

    @property
    def rung(self):
        return self._budget.rung.name


def test_without_a_budget_nothing_is_given_up():
    robot = Robot(0.0, rest_s=2.0)
    robot.run(60.0)
    assert {name for _, _, name in robot.published} == {''}
    assert AgeBudget(has_small_inputs=True).reduce(CONFIG, LADDER[0]) is CONFIG


def test_within_the_budget_nothing_is_given_up():
    robot = Robot(0.5, rest_s=0.05)
    robot.run(60.0)
    assert (robot.rung, robot.dropped) == ('', 0)


@pytest.mark.parametrize('rest_s', [0.03, 0.06, 0.08])
@pytest.mark.parametrize('period_s', [1 / 60, 1 / 30, 1 / 15])
@pytest.mark.parametrize('cameras', [1, 2, 4])
def test_the_age_is_held(rest_s, period_s, cameras):
    budget_s = 1.25 * (rest_s + min(period_s, rest_s)) + 0.02
    robot = Robot(budget_s, rest_s, period_s, cameras)
    robot.run(5.0)
    ages_s = robot.run(300.0)
    assert np.percentile(ages_s, 95) <= 1.1 * budget_s
    # Results go on.
    assert len(ages_s) > 0.4 * 300 / max(rest_s, period_s)


def noise(scale):
    rng = np.random.default_rng(0)
    return lambda _time_s: np.exp(scale * rng.standard_normal())


def stalls(share):
    rng = np.random.default_rng(0)
    return lambda _time_s: 3 if rng.random() < share else 1


LOADS = {
    'steady': lambda: lambda _time_s: 1,
    'step': lambda: lambda time_s: 3 if 60 < time_s < 180 else 1,
    'alternating': lambda: lambda time_s: 1 + int(time_s / 10) % 2,
    'swinging': lambda: lambda time_s: 1 + 0.5 * np.sin(time_s / 10),
    'noise': lambda: noise(0.3),
    'rare stalls': lambda: stalls(0.04),
    'stalls': lambda: stalls(0.07),
}


@pytest.mark.parametrize('load', LOADS)
@pytest.mark.parametrize(('period_s', 'cameras'), [(1 / 60, 1), (1 / 15, 2)])
def test_the_age_is_held_under_changing_loads(load, period_s, cameras):
    rest_s = 0.08
    budget_s = 2 * (rest_s + min(period_s, rest_s)) + 0.02
    robot = Robot(budget_s, rest_s, period_s, cameras)
    robot.load = LOADS[load]()
    robot.run(5.0)
    ages_s = robot.run(295.0)
    assert np.percentile(ages_s, 95) <= 1.1 * budget_s
    assert len(ages_s) > 1000


@pytest.mark.parametrize(
    ('max_age_s', 'rung', 'age_s'),
    [
        # A frame takes rest_s besides masks and features, and its image waits at most a period.
        (1.1 * (0.08 + MASKS_S + FEATURES_S + 1 / 60), '', 0.08 + MASKS_S + FEATURES_S + 1 / 60),
        (1.1 * (0.08 + 1 / 60), 'every_30', 0.08 + 1 / 60),
        (1.1 * (SMALL * 0.08 + 1 / 60), 'small_inputs', SMALL * 0.08 + 1 / 60),
        # Frames are kept whose image waited less.
        (SMALL * 0.08 + 0.5 / 60, 'drop', SMALL * 0.08 + 0.5 / 60),
    ],
)
def test_the_rung_and_the_age_follow_from_the_times(max_age_s, rung, age_s):
    robot = Robot(max_age_s, rest_s=0.08, period_s=1 / 60)
    robot.run(20.0)
    robot.published.clear()
    ages_s = robot.run(60.0)
    held = [name for _, _, name in robot.published]
    # At times it tries whether the rung before is enough.
    assert np.mean([name == rung for name in held]) > 0.7
    assert np.percentile(ages_s, 94) <= age_s + 1e-6


def test_without_smaller_inputs_that_rung_is_left_out():
    budget, names = AgeBudget(has_small_inputs=False), []
    for _ in range(60):
        begin = budget.begin(0.0, 0.1)
        if begin is not None:
            budget.end(begin, 0.2)
        names.append(budget.rung.name)
        assert not budget.reduce(CONFIG, budget.rung).small_inputs
    assert list(dict.fromkeys(names)) == [name for name in RUNGS if name != 'small_inputs']
    assert str(budget.rung) == (
        'masks and features on one of 30 frames, frames dropped that would be too old'
    )


def test_it_gives_up_step_by_step_and_climbs_back():
    robot = Robot(0.15, rest_s=0.05)
    robot.run(10.0)
    names = [name for _, _, name in robot.published]
    order = list(dict.fromkeys(names))
    assert order == RUNGS[: len(order)] == ['', 'every_2', 'every_4', 'every_30']
    robot.slow = 0.1
    robot.run(40.0)
    assert robot.rung == ''
    assert robot.dropped == 0


def test_a_rung_that_fails_is_tried_ever_less_often():
    """Of four cameras a slow frame delays the others, so that the next rung looks possible."""
    robot = Robot(0.15, rest_s=0.03, cameras=4)
    robot.run(600.0)
    changes = sum(a[2] != b[2] for a, b in pairwise(robot.published))
    late = [age > 0.15 for _, age, _ in robot.published]
    assert changes < 60
    assert np.mean(late) < 0.05


def test_results_never_end_however_slow_the_networks_are():
    robot = Robot(0.1, rest_s=0.4)
    robot.run(60.0)
    assert robot.rung == 'drop'
    times_s = [time_s for time_s, _, _ in robot.published]
    assert max(np.diff(times_s)) < 2.0
    assert robot._budget.is_exceeded


@pytest.mark.parametrize('age_s', [float('nan'), -3.0, 3e8])
def test_an_age_by_another_clock_changes_nothing(age_s):
    budget = AgeBudget(has_small_inputs=True)
    for _ in range(200):
        begin = budget.begin(age_s, 0.1)
        assert begin is not None
        budget.end(begin, age_s)
    assert budget.rung == LADDER[0]


def test_a_changed_budget_begins_again():
    robot = Robot(0.12, rest_s=0.05)
    robot.run(10.0)
    assert robot.rung == 'every_30'
    robot._max_age_s = 0.0
    robot.run(1.0)
    assert robot.rung == ''


def test_without_a_budget_nothing_is_too_little():
    robot = Robot(0.1, rest_s=0.4)
    robot.run(20.0)
    assert robot._budget.describe().endswith('which is not enough')
    robot._max_age_s = 0.0
    robot.run(1.0)
    assert robot._budget.describe() == ''


def test_frames_that_begin_together_do_not_end_the_results_of_frames_in_turn():
    """Four cameras, of which a frame alone is within the budget and four together are not."""
    now_s, age_s, max_age_s = 0.0, 0.04, 0.1
    budget, alone, dropped = AgeBudget(has_small_inputs=False, now_s=lambda: now_s), 0, 0
    while alone + dropped < 20:
        cameras = 1 if budget.rung.drops else 4
        taken_s, begun = now_s, [budget.begin(0.0, max_age_s) for _ in range(cameras)]
        alone += cameras == 1 and begun != [None]
        dropped += begun == [None]
        now_s += age_s * cameras
        for begin in filter(None, begun):
            now_s += 0.001
            budget.end(begin, now_s - taken_s)
    assert (alone, dropped) == (20, 0)


def test_frames_that_begin_together_keep_the_rung_on_which_they_began():
    budget = AgeBudget(has_small_inputs=True)
    begun, config = [budget.begin(0.0, 0.1) for _ in range(4)], budget.reduce(CONFIG, budget.rung)
    for begin in begun:
        budget.end(begin, 0.2)
    assert {begin.rung.name for begin in begun} == {''}
    assert config is CONFIG
    assert budget.begin(0.0, 0.1).rung.name == budget.rung.name == 'every_2'


def test_each_of_the_frames_that_begin_together_has_its_own_age():
    now_s = 0.0
    budget = AgeBudget(has_small_inputs=False, now_s=lambda: now_s)
    while not budget.rung.drops:
        budget.end(budget.begin(0.0, 0.1), 0.2)
    old, new = budget.begin(0.06, 0.1), budget.begin(0.0, 0.1)
    for begin in (old, new):
        budget.end(begin, begin.age_s + 0.03)
    # Each took 0.03 s.
    assert budget.begin(0.065, 0.1) is not None
    assert budget.begin(0.075, 0.1) is None


def test_own_settings_that_give_up_more_are_kept():
    budget, config = AgeBudget(has_small_inputs=True), CONFIG.with_values({'features.every_k': 3})
    for _ in range(3):
        budget.end(budget.begin(0.0, 0.1), 0.2)
    assert budget.rung.name == 'every_2'
    reduced = budget.reduce(config, budget.rung)
    assert (reduced.features.every_k, reduced.segmenter.every_k) == (3, 2)
    assert (reduced.detector.every_k, reduced.depth.every_k) == (1, 1)
    assert budget.reduce(config, budget.rung) is reduced
    assert not reduced.small_inputs
    while budget.rung.name != 'small_inputs':
        budget.end(budget.begin(0.0, 0.1), 0.2)
    assert budget.reduce(config, budget.rung).small_inputs
