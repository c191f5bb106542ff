"""The counts of frames add up after any sequence of calls."""

from collections import Counter
from functools import partial
import random
import threading
import time

from hypothesis import settings, strategies
from hypothesis.stateful import invariant, precondition, rule, RuleBasedStateMachine
import numpy as np
import pytest

from robot_perception.nodes.slot import FrameQueue, FrameSlot

REASONS = strategies.sampled_from(['inactive', 'disabled', 'time_jump', 'encoding'])
TIMEOUT_S = 20.0
# A failed test must not keep the program from ending.
Thread = partial(threading.Thread, daemon=True)


def check(counts):
    ended = counts.published + sum(counts.dropped.values()) + sum(counts.rejected.values())
    assert counts.received == ended + counts.waiting
    assert counts.waiting >= 0


class SlotMachine(RuleBasedStateMachine):
    """A slot and a model of it that only counts."""

    def __init__(self):
        super().__init__()
        self.slot = FrameSlot()
        self.number = 0
        self.waiting = None
        self.under_way = 0
        self.closed = False
        self.published = 0
        self.dropped = Counter()
        self.rejected = Counter()

    def lose_waiting(self, reason):
        if self.waiting is not None:
            self.dropped[reason] += 1
            self.waiting = None

    @rule()
    def put(self):
        self.number += 1
        self.slot.put(self.number)
        if self.closed:
            self.dropped['inactive'] += 1
            return
        self.lose_waiting('newer_frame')
        self.waiting = self.number

    @rule(reason=REASONS)
    def refuse(self, reason):
        self.number += 1
        self.slot.refuse(reason)
        self.dropped[reason] += 1

    @rule()
    def take(self):
        assert self.slot.take() == self.waiting
        self.under_way += self.waiting is not None
        self.waiting = None

    @precondition(lambda self: self.under_way)
    @rule()
    def publish(self):
        self.slot.published()
        self.published += 1
        self.under_way -= 1

    @precondition(lambda self: self.under_way)
    @rule(reason=REASONS)
    def drop(self, reason):
        self.slot.drop(reason)
        self.dropped[reason] += 1
        self.under_way -= 1

    @precondition(lambda self: self.under_way)
    @rule(reason=REASONS)
    def reject(self, reason):
        self.slot.reject(reason)
        self.rejected[reason] += 1
        self.under_way -= 1

    @rule(reason=REASONS)
    def discard(self, reason):
        self.slot.discard(reason)
        self.lose_waiting(reason)

    @rule(reason=REASONS)
    def close(self, reason):
        self.slot.close(reason)
        self.lose_waiting(reason)
        self.closed = True

    @rule()
    def open(self):
        self.slot.open()
        self.closed = False

    @invariant()
    def the_counts_add_up(self):
        counts = self.slot.counts()
        check(counts)
        assert counts.received == self.number
        assert counts.published == self.published
        assert (counts.dropped, counts.rejected) == (self.dropped, self.rejected)
        assert counts.waiting == (self.waiting is not None) + self.under_way


TestSlotMachine = SlotMachine.TestCase
TestSlotMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def act_as_camera(slot, seed):
    choose = random.Random(seed)  # noqa: S311 - no secret
    for number in range(1500):
        if choose.random() < 0.1:
            slot.refuse('disabled')
        else:
            slot.put((seed, number))
        # Let other threads run.
        time.sleep(0.001 if number % 50 == 0 else 0)


def act_as_worker(queue, over, taken):
    (slot,) = queue.slots
    choose = random.Random(9)  # noqa: S311 - no secret
    while not over.is_set():
        found = queue.take()
        if found is None:
            slot.open()
            continue
        taken.append(found[1])
        choose.choice([slot.published, lambda: slot.drop('odd'), lambda: slot.reject('odd')])()


def act_as_observer(slot, over, snapshots):
    """Record the counts, and close the slot repeatedly."""
    while not over.is_set():
        snapshots.append(slot.counts())
        slot.close('inactive')
        time.sleep(0.001)


def test_threads_lose_nothing():
    queue, over, taken, snapshots = FrameQueue(1), threading.Event(), [], []
    (slot,) = queue.slots
    work = [
        Thread(target=act_as_worker, args=(queue, over, taken)),
        Thread(target=act_as_observer, args=(slot, over, snapshots)),
    ]
    cameras = [Thread(target=act_as_camera, args=(slot, seed)) for seed in (1, 2)]
    for thread in (*work, *cameras):
        thread.start()
    for thread in cameras:
        thread.join(TIMEOUT_S)
    over.set()
    slot.close('inactive')
    for thread in work:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
    slot.discard('inactive')
    counts = slot.counts()
    for one in (*snapshots, counts):
        check(one)
    assert (counts.received, counts.waiting) == (3000, 0)
    ends = counts.published + counts.dropped.get('odd', 0) + counts.rejected.get('odd', 0)
    assert ends == len(taken)
    for seed in (1, 2):
        numbers = [number for one, number in taken if one == seed]
        assert numbers == sorted(numbers)


def test_the_newest_frame_wins():
    slot = FrameSlot()
    for number in (1, 2, 3):
        slot.put(number)
    assert slot.take() == 3
    assert slot.counts().dropped == {'newer_frame': 2}


@pytest.mark.parametrize('wake', [lambda slot: slot.put('frame'), lambda slot: slot.close('end')])
def test_a_waiting_worker_wakes(wake):
    queue = FrameQueue(1)
    got = []
    worker = Thread(target=lambda: got.append(queue.take()))
    worker.start()
    worker.join(0.05)
    assert worker.is_alive()
    wake(queue.slots[0])
    worker.join(TIMEOUT_S)
    assert got in ([(0, 'frame')], [None])


def test_a_closed_queue_waits_again_once_opened():
    queue = FrameQueue(2)
    for slot in queue.slots:
        slot.close('inactive')
    assert queue.take() is None
    queue.slots[1].open()
    worker = Thread(target=queue.take)
    worker.start()
    worker.join(0.05)
    assert worker.is_alive()
    queue.slots[1].put('frame')
    worker.join(TIMEOUT_S)
    assert not worker.is_alive()


def test_counts_are_a_copy():
    slot = FrameSlot()
    slot.refuse('disabled')
    before = slot.counts()
    slot.refuse('disabled')
    assert (before.received, before.dropped) == (1, {'disabled': 1})


def serve(periods_s, frame_s, until_s, gain=None):
    """Serve cameras of these periods; return the ages of the frames of each when they are done.

    Time is simulated: a frame takes ``frame_s``, and the worker takes the next one at once. With
    ``gain`` it takes those of all cameras: half of the time of a frame is spent in networks, which
    take ``gain`` of that for each further image.
    """
    queue = FrameQueue(len(periods_s))
    arrivals = sorted(
        (number * period, camera)
        for camera, period in enumerate(periods_s)
        for number in range(int(until_s / period))
    )
    ages_s = [[] for _ in periods_s]
    now_s = 0.0
    while arrivals:
        while arrivals and arrivals[0][0] <= now_s:
            begin_s, camera = arrivals.pop(0)
            queue.slots[camera].put(begin_s)
        if not any(slot.counts().waiting for slot in queue.slots):
            now_s = arrivals[0][0]
            continue
        taken = [queue.take()] if gain is None else queue.take_all()
        own_s = frame_s if gain is None else frame_s / 2
        now_s += 0.0 if gain is None else frame_s / 2 * (1 + gain * (len(taken) - 1))
        for camera, begin_s in taken:
            now_s += own_s
            ages_s[camera].append(now_s - begin_s)
            queue.slots[camera].published()
    return ages_s


PERIODS_S = [
    (0.0333, 0.0333, 0.0333, 0.0333),
    (0.0333, 0.0333, 0.01, 0.001),
    (0.0333, 0.0333, 1.0, 5.0),
    (0.05, 0.05, 0.0333, 0.002),
    (0.1, 0.1, 0.0999, 0.1001),
    (0.3, 0.3, 0.001, 0.001),
]


@pytest.mark.parametrize('periods_s', PERIODS_S)
@pytest.mark.parametrize('frame_s', [0.02, 0.05, 0.13])
def test_equal_cameras_are_served_equally_and_no_frame_waits_for_long(periods_s, frame_s):
    ages_s = serve(periods_s, frame_s, until_s=20.0)
    served = [len(one) for one in ages_s]
    assert served[0] == pytest.approx(served[1], rel=0.1)
    # The frame at work, one of each other camera, and its own.
    assert max(map(max, ages_s)) <= (len(periods_s) + 1) * frame_s + 1e-9


@pytest.mark.parametrize('periods_s', PERIODS_S)
@pytest.mark.parametrize('frame_s', [0.02, 0.05, 0.13])
@pytest.mark.parametrize('gain', [0.25, 0.6])
def test_cameras_that_are_computed_together_are_served_as_fairly(periods_s, frame_s, gain):
    ages_s = serve(periods_s, frame_s, until_s=20.0, gain=gain)
    served = [len(one) for one in ages_s]
    assert served[0] == pytest.approx(served[1], rel=0.1)
    assert np.percentile(np.concatenate(ages_s), 95) <= (len(periods_s) + 1) * frame_s


def test_all_frames_that_wait_are_taken_and_the_camera_served_first_goes_last():
    queue = FrameQueue(3)
    for camera in (2, 1):
        queue.slots[camera].put(camera)
    assert queue.take_all() == [(1, 1), (2, 2)]
    for slot in queue.slots:
        slot.put(3)
    assert queue.take_all() == [(0, 3), (1, 3), (2, 3)]
    for slot in queue.slots:
        slot.close('inactive')
    assert queue.take_all() == []


def test_cameras_with_frames_are_served_in_turn():
    queue = FrameQueue(3)
    order = []
    for number in range(9):
        for slot in queue.slots[: 2 if number < 3 else 3]:
            slot.put(number)
        camera, _ = queue.take()
        order.append(camera)
    # The third has waited for longest when it begins.
    assert order == [0, 1, 0, 2, 1, 0, 2, 1, 0]
