"""A camera that is silent, slow or stuck, by a clock of the test."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from robot_perception.nodes.camera_watch import CameraWatch

SIZE = 64 * 48 * 3


class Camera:
    """Sends images at a rate, and reports each second of its time."""

    def __init__(self):
        self.now_s = 100.0
        self.watch = CameraWatch(lambda: self.now_s)
        self.random = np.random.default_rng(0)
        self.reports = []

    def send(self, seconds, rate_hz, make=None):
        make = make or self.noise
        start, sent = self.now_s, 0
        for step in range(int(seconds * 100)):
            self.now_s = start + (step + 1) / 100
            while (sent + 1) / rate_hz <= self.now_s - start + 1e-6:
                sent += 1
                self.watch.add(SimpleNamespace(data=make()))
            if (step + 1) % 100 == 0:
                self.reports.append(self.watch.report())
        return self.reports[-1]

    def noise(self):
        """A static scene: few bits of few bytes differ."""
        data = np.full(SIZE, 100, np.uint8)
        data[self.random.integers(0, SIZE, 100)] ^= 1
        return data.tobytes()

    def problems(self):
        return {report.problem for report in self.reports}


@pytest.mark.parametrize('rate_hz', [0.2, 1, 7, 30, 90])
def test_a_steady_camera_is_well_at_any_rate(rate_hz):
    camera = Camera()
    camera.send(60, rate_hz)
    started = camera.reports[int(np.ceil(1 / rate_hz)) :]
    assert {(report.is_silent, report.problem) for report in started} == {(False, '')}


@pytest.mark.parametrize(('rate_hz', 'silent_after_s'), [(30, 2), (1, 4), (0.2, 16)])
def test_silence_is_noticed(rate_hz, silent_after_s):
    camera = Camera()
    camera.send(30, rate_hz)
    assert camera.send(silent_after_s, 1e-9).is_silent


def test_a_camera_that_never_sent_is_silent():
    assert Camera().send(1, 1e-9).is_silent


def test_the_same_image_again_and_again_is_named():
    camera = Camera()
    image = camera.noise()
    camera.send(15, 10)
    assert camera.send(1, 10, lambda: image).problem == ''
    assert (
        'stuck: the same image, byte for byte, for 2 s'
        in camera.send(1, 10, lambda: image).problem
    )
    assert camera.send(1, 10).problem == ''


def test_one_different_byte_anywhere_is_another_image():
    camera, image, sent = Camera(), bytearray(SIZE), iter(range(10**6))

    def make():
        image[next(sent) * 7919 % SIZE] ^= 1
        return bytes(image)

    camera.send(20, 10, make)
    assert camera.problems() == {''}


def test_a_camera_that_becomes_slow_is_named_and_recovers():
    camera = Camera()
    camera.send(15, 10)
    assert 'slow: 3.0 images per second, usually 10.0' in camera.send(2, 3).problem
    assert camera.send(6, 10).problem == ''
