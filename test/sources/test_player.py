import math

import pytest
from reasons import raises

from robot_perception.core.errors import SourceError
from robot_perception.sources import play, Role, Sample, Source
from robot_perception.sources.player import Timekeeper

MS = 10**6


class Recording(Source):
    """Samples at given milliseconds, then perhaps an error."""

    description = 'recording'
    roles = frozenset((Role.IMAGE,))

    def __init__(self, stamps_ms, *, duration_ms=None, error=None, live=False):
        self.samples = [Sample(Role.IMAGE, 5_000 * MS + at * MS, bytes([at])) for at in stamps_ms]
        self.duration_ns = None if duration_ms is None else duration_ms * MS
        self.error = error
        self.live = live

    def __iter__(self):
        yield from self.samples
        if self.error is not None:
            raise self.error

    def close(self):
        pass


class Stage:
    """A fake clock and a diary of what happened when, in milliseconds."""

    def __init__(self, *, stop_after_ms=math.inf, publishing_ms=None):
        self.now_ns = 77 * MS
        self.diary = []
        self.clock_ms = []
        self.stop_after_ms = stop_after_ms
        self.publishing_ms = publishing_ms or {}

    def elapsed_ms(self):
        return (self.now_ns - 77 * MS) / MS

    def sleep(self, seconds):
        assert seconds > 0
        self.now_ns += round(seconds * 1e9)

    def publish(self, sample):
        self.diary.append((self.elapsed_ms(), sample.cdr[0]))
        self.now_ns += self.publishing_ms.get(sample.cdr[0], 0) * MS

    def clock(self, stamp_ns):
        self.clock_ms.append((self.elapsed_ms(), stamp_ns / MS - 5_000))

    def play(self, source, **options):
        timekeeper = Timekeeper(
            now_ns=lambda: self.now_ns,
            sleep=self.sleep,
            stopped=lambda: self.elapsed_ms() >= self.stop_after_ms,
        )
        return play(source, self.publish, timekeeper=timekeeper, **options)


@pytest.mark.parametrize(
    ('rate', 'schedule'),
    [
        (1.0, [(0, 0), (30, 30), (30, 30), (100, 100)]),
        (2.0, [(0, 0), (15, 30), (15, 30), (50, 100)]),
        (0.5, [(0, 0), (60, 30), (60, 30), (200, 100)]),
    ],
)
def test_recorded_times_scaled(rate, schedule):
    stage = Stage()
    report = stage.play(Recording([0, 30, 30, 100]), rate=rate)
    assert stage.diary == schedule
    assert (report.samples, report.passes, report.error) == (4, 1, None)


def test_late_samples_go_at_once_and_lateness_does_not_add_up():
    stage = Stage(publishing_ms={10: 25})
    stage.play(Recording([0, 10, 20, 30, 40, 50]))
    assert stage.diary == [(0, 0), (10, 10), (35, 20), (35, 30), (40, 40), (50, 50)]


def test_samples_out_of_order_go_at_once():
    stage = Stage()
    stage.play(Recording([0, 20, 10, 30]), clock=stage.clock)
    assert stage.diary == [(0, 0), (20, 20), (20, 10), (30, 30)]
    times = [stamp for _, stamp in stage.clock_ms]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ('stamps', 'duration', 'schedule'),
    [
        # Pictures last until the next: the second pass does not begin with the last picture.
        ([0, 30], 60, [(0, 0), (30, 30), (60, 0), (90, 30), (120, 0), (150, 30)]),
        (
            [0, 30],
            None,
            [(0, 0), (30, 30), (30, 0), (60, 30), (60, 0), (90, 30), (90, 0), (120, 30), (120, 0)],
        ),
        ([0], None, [(0, 0)]),
        ([0], 50, [(0, 0), (50, 0), (100, 0), (150, 0)]),
    ],
)
def test_loop_begins_again(stamps, duration, schedule):
    stage = Stage(stop_after_ms=155 if duration else 125)
    report = stage.play(Recording(stamps, duration_ms=duration), loop=True)
    assert stage.diary == schedule
    assert report.samples == len(schedule)


def test_loop_of_one_sample_without_a_length_repeats_every_second():
    stage = Stage(stop_after_ms=2500)
    stage.play(Recording([9]), loop=True)
    assert stage.diary == [(0, 9), (1000, 9), (2000, 9)]


def test_clock_runs_between_samples():
    stage = Stage()
    stage.play(Recording([0, 25, 30]), rate=0.5, clock=stage.clock)
    assert stage.clock_ms == [
        (0, 0),
        *[(10, 5), (20, 10), (30, 15), (40, 20), (50, 25)],
        (50, 25),
        *[(60, 30), (60, 30)],
    ]


def test_clock_jumps_back_with_the_loop():
    stage = Stage(stop_after_ms=35)
    stage.play(Recording([0], duration_ms=20), clock=stage.clock, loop=True)
    assert [stamp for _, stamp in stage.clock_ms] == [0, 10, 20, 0, 10, 20]


def test_stop_ends_a_long_wait_without_the_next_sample():
    stage = Stage(stop_after_ms=50)
    report = stage.play(Recording([0, 40, 200]), clock=stage.clock)
    assert [at for _, at in stage.diary] == [0, 40]
    assert report.samples == 2


def test_live_source_is_not_paced():
    stage = Stage()
    stage.play(Recording([0, 30], live=True), loop=True, clock=stage.clock)
    assert stage.diary == [(0, 0), (0, 30)]
    assert stage.clock_ms == [(0, 0), (0, 30)]


def test_damage_is_reported_once_and_the_rest_is_played():
    stage = Stage(stop_after_ms=45)
    error = SourceError('damaged', 'cut')
    reported = []
    source = Recording([0, 10], duration_ms=20, error=error)
    report = stage.play(source, loop=True, on_damage=reported.append)
    assert reported == [error]
    assert report.error is error
    assert report.samples == 5


def test_nothing_readable_is_an_error():
    with pytest.raises(SourceError, match='cut'):
        Stage().play(Recording([], error=SourceError('damaged', 'cut')), loop=True)


def test_source_without_samples_ends():
    assert Stage().play(Recording([]), loop=True).samples == 0


@pytest.mark.parametrize('rate', [0.0, -1.0, math.nan, math.inf])
def test_bad_rate(rate):
    with raises(SourceError, 'out_of_range', match='Pass 1'):
        Stage().play(Recording([0]), rate=rate)


def test_camera_has_its_own_rate():
    with raises(SourceError, 'out_of_range'):
        Stage().play(Recording([0], live=True), rate=2.0)
