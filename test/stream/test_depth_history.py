"""Every image finds the depth of its time, at any rate, in any order, and however late it is."""

import gc
import weakref

import numpy as np
import pytest

from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import message_stamp_ns, Role, Sample, standard_types
from robot_perception.sources.messages import color_image, depth_image
from robot_perception.stream import CameraTopics, RecordedSynchronizer, Synchronizer

SECOND_NS = 10**9
START_NS = 1_700_000_000 * SECOND_NS
ROLES = frozenset({Role.IMAGE, Role.DEPTH})
PIXELS = np.zeros((2, 2, 3), np.uint8)
METERS = np.ones((2, 2), np.uint16)


def image(received_s, stamp_s):
    cdr = color_image(PIXELS, to_ns(stamp_s), 'camera')
    return Sample(Role.IMAGE, to_ns(received_s), cdr)


def depth(received_s, stamp_s):
    cdr = depth_image(METERS, to_ns(stamp_s), 'camera')
    return Sample(Role.DEPTH, to_ns(received_s), cdr)


def to_ns(seconds):
    """Return the time after the start; None is zero, no time at all."""
    return 0 if seconds is None else START_NS + round(seconds * 10**6) * 1000


def to_s(stamp_ns):
    return None if not stamp_ns else round((stamp_ns - START_NS) / SECOND_NS, 6)


def make_synchronizer(**parameters):
    named = {f'depth.{name}': value for name, value in parameters.items()}
    config = PerceptionConfig.from_preset('stub', {'depth.source': 'sensor', **named})
    return RecordedSynchronizer(ROLES, config, CameraTopics(), standard_types())


def pairs(samples, **parameters):
    """Return (image, its depth or None) of every image, as samples."""
    synchronizer = make_synchronizer(**parameters)
    samples = sorted(samples, key=lambda sample: sample.stamp_ns)
    frames = [frame for sample in samples for frame in synchronizer.add(sample)]
    frames += synchronizer.flush()
    return [(frame.sample, frame.depth) for frame in frames]


def offsets_s(samples, **parameters):
    """Return by how much the stamp of each image differs from that of its depth, None without."""
    return [
        found and round((stamp_ns(image) - stamp_ns(found)) / SECOND_NS, 6)
        for image, found in pairs(samples, **parameters)
    ]


def stamp_ns(sample):
    return message_stamp_ns(sample.cdr)


def swapped(count):
    """Return how many frames later each arrives if every third changes places with the next."""
    return [1.5 if index % 3 == 1 else 0 for index in range(count)]


class TestEveryImageFindsItsDepth:
    @pytest.mark.parametrize('image_late_s', [0.0, 0.3, 1.0])
    @pytest.mark.parametrize('offset_s', [-0.001, 0.0, 0.001])
    @pytest.mark.parametrize('rate_hz', [0.2, 1, 15, 30, 90])
    def test_at_any_rate(self, rate_hz, offset_s, image_late_s):
        stamps_s = [index / rate_hz for index in range(100)]
        samples = [depth(stamp, stamp) for stamp in stamps_s]
        samples += [image(stamp + image_late_s + 0.002, stamp + offset_s) for stamp in stamps_s]
        assert offsets_s(samples) == [offset_s] * 100

    @pytest.mark.parametrize('image_late_s', [0.0, 1.0])
    @pytest.mark.parametrize('offset_s', [-0.001, 0.0, 0.001])
    @pytest.mark.parametrize('rate_hz', [3, 15, 30, 90])
    def test_in_any_order(self, rate_hz, offset_s, image_late_s):
        stamps_s = [(1 + index) / rate_hz for index in range(90)]
        samples = [
            depth(stamp + late / rate_hz, stamp)
            for stamp, late in zip(stamps_s, swapped(90), strict=True)
        ]
        samples += [image(stamp + image_late_s + 0.002, stamp + offset_s) for stamp in stamps_s]
        # A swapped one is 1.5 periods late.
        found = offsets_s(samples, max_wait_s=2.0 / rate_hz)
        # That stamps step back is known after the first time.
        assert found.count(offset_s) >= 89

    @pytest.mark.parametrize('late_s', [0.3, 0.7, 2.5])
    def test_after_the_advice_to_wait_longer_is_followed(self, late_s):
        stamps_s = [index / 30 for index in range(100)]
        samples = [depth(stamp + late_s, stamp) for stamp in stamps_s]
        samples += [image(stamp, stamp) for stamp in stamps_s]
        assert set(offsets_s(samples)[:20]) == {None}
        assert set(offsets_s(samples, max_wait_s=late_s + 0.01)) == {0.0}

    @pytest.mark.parametrize('image_late_s', [1.0, 2.5])
    def test_of_color_that_is_later_than_the_longest_wait(self, image_late_s):
        stamps_s = [index / 30 for index in range(200)]
        samples = [depth(stamp, stamp) for stamp in stamps_s]
        samples += [image(stamp + image_late_s, stamp) for stamp in stamps_s]
        # The first image names the longest wait.
        assert set(offsets_s(samples, max_wait_s=image_late_s)[100:]) == {0.0}


def test_a_steady_order_costs_no_wait():
    synchronizer = make_synchronizer(max_wait_s=10.0)
    for index in range(30):
        list(synchronizer.add(depth(index / 30, index / 30)))
        (frame,) = synchronizer.add(image(index / 30 + 0.001, index / 30))
        assert frame.depth


def test_after_a_swap_an_image_is_not_held_up_by_depth_that_cannot_be_nearer():
    synchronizer = make_synchronizer(max_wait_s=10.0)
    for stamp in (0.0, 0.2, 0.1, 0.3):
        list(synchronizer.add(depth(stamp, stamp)))
    (frame,) = synchronizer.add(image(0.302, 0.299))
    assert to_s(stamp_ns(frame.depth)) == 0.3
    # One whose depth is missing waits until that cannot come any more.
    assert not list(synchronizer.add(image(0.402, 0.4)))
    assert not list(synchronizer.add(depth(0.5, 0.5)))
    (frame,) = synchronizer.add(depth(0.6, 0.6))
    assert frame.depth is None


class TestWithoutUsableStamps:
    @pytest.mark.parametrize(
        ('image_stamp', 'depth_stamp'),
        [(None, 'good'), (5.0, 'good'), (None, None), (5.0, None), ('good', None), ('good', 5.0)],
    )
    def test_images_are_paired_by_receipt(self, image_stamp, depth_stamp):
        times_s = [index / 10 for index in range(20)]
        samples = [depth(time, time if depth_stamp == 'good' else depth_stamp) for time in times_s]
        samples += [
            image(time + 0.01, time if image_stamp == 'good' else image_stamp) for time in times_s
        ]
        found = [(one, other) for one, other in pairs(samples) if other is not None]
        assert {one.stamp_ns - other.stamp_ns for one, other in found} == {10_000_000}
        # A stamp is known to be repeated at the second time, and a picture to be another at the
        # third.
        assert len(found) >= 18

    @pytest.mark.parametrize('stamp', [None, 5.0])
    def test_one_depth_is_not_paired_with_every_image(self, stamp):
        samples = [depth(0.0, stamp), *(image(index / 10 + 0.01, stamp) for index in range(20))]
        assert sum(found is not None for _, found in pairs(samples)) == 1

    def test_a_depth_that_is_sent_twice_is_used_once(self):
        synchronizer = make_synchronizer(max_wait_s=10.0)
        list(synchronizer.add(depth(0.0, 0.0)))
        assert not list(synchronizer.add(image(0.1, 0.1)))
        # Received at the time of the image, and older.
        assert not list(synchronizer.add(depth(0.1, 0.0)))
        (frame,) = synchronizer.add(depth(0.101, 0.101))
        assert to_s(stamp_ns(frame.depth)) == 0.101


class Message:
    """A depth message whose life can be watched."""


@pytest.mark.parametrize('stamps', ['good', 'zero', 'paused'])
def test_memory_is_bounded(stamps):
    synchronizer, references = Synchronizer(), []
    for index in range(90 * 60):
        time_ns = START_NS + index * SECOND_NS // 90
        message = Message()
        references.append(weakref.ref(message))
        received_ns = START_NS if stamps == 'paused' else time_ns
        stamp_ns = time_ns if stamps == 'good' else 0
        synchronizer.add(Role.DEPTH, message, stamp_ns, received_ns)
    del message
    gc.collect()
    assert 85 <= sum(reference() is not None for reference in references) <= 105


def test_a_restart_drops_the_depth_of_the_recording_before():
    stamps_s = (100.0, 100.1, 100.2, 99.6)
    samples = [depth(index, stamp) for index, stamp in enumerate(stamps_s)]
    assert offsets_s([*samples, image(3.1, 100.1)]) == [None]


def test_depth_before_the_epoch_begins_another_recording():
    synchronizer, config = Synchronizer(), PerceptionConfig.from_preset('stub')
    for second in (100, -1, -(2**31)):
        synchronizer.add(Role.DEPTH, second, second * SECOND_NS, START_NS)
    time = synchronizer.image_time(-(2**31) * SECOND_NS, START_NS)
    assert synchronizer.request_depth(time, config.depth).nearest(0.0) == -(2**31)
