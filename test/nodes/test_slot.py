"""The counts of frames add up after any sequence of calls."""

from collections import Counter
from functools import partial
import random
import threading
import time

from hypothesis import settings, strategies
from hypothesis.stateful import invariant, precondition, rule, RuleBasedStateMachine
import pytest

from robot_perception.nodes.slot import FrameSlot

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

    # On an empty open slot it would wait forever.
    @precondition(lambda self: self.waiting is not None or self.closed)
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


def act_as_worker(slot, over, taken):
    choose = random.Random(9)  # noqa: S311 - no secret
    while not over.is_set():
        message = slot.take()
        if message is None:
            slot.open()
            continue
        taken.append(message)
        choose.choice([slot.published, lambda: slot.drop('odd'), lambda: slot.reject('odd')])()


def act_as_observer(slot, over, snapshots):
    """Record the counts, and close the slot repeatedly."""
    while not over.is_set():
        snapshots.append(slot.counts())
        slot.close('inactive')
        time.sleep(0.001)


def test_threads_lose_nothing():
    slot, over, taken, snapshots = FrameSlot(), threading.Event(), [], []
    work = [
        Thread(target=act_as_worker, args=(slot, over, taken)),
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
    slot = FrameSlot()
    got = []
    worker = Thread(target=lambda: got.append(slot.take()))
    worker.start()
    worker.join(0.05)
    assert worker.is_alive()
    wake(slot)
    worker.join(TIMEOUT_S)
    assert got in (['frame'], [None])


def test_a_closed_slot_waits_again_once_opened():
    slot = FrameSlot()
    slot.close('inactive')
    assert slot.take() is None
    slot.open()
    worker = Thread(target=slot.take)
    worker.start()
    worker.join(0.05)
    assert worker.is_alive()
    slot.put('frame')
    worker.join(TIMEOUT_S)
    assert not worker.is_alive()


def test_counts_are_a_copy():
    slot = FrameSlot()
    slot.refuse('disabled')
    before = slot.counts()
    slot.refuse('disabled')
    assert (before.received, before.dropped) == (1, {'disabled': 1})
