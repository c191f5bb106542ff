"""Row 11: a camera that is stuck, sends garbage, slows down or stops now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import itertools
import threading
import time

import numpy as np

from robot_perception.conversions import Message
from robot_perception.faults.camera import calibration, next_stamp_ns, random_image
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.observation import ERROR, OK, STALE, WARN
from robot_perception.faults.outcome import Trials
from robot_perception.nodes import CameraWatch

_RATE_HZ = 10.0
_ALARM_LIMIT_S = 2.5
_OK_LIMIT_S = 10.0
# The node must know the usual rate before it can notice another.
_USUAL_S = 12.0
_STATIC_S, _STATIC_HZ = 3600, 30
_NOISE, _JITTER = 4, 0.3


@dataclass(frozen=True, slots=True)
class _Word:
    """A fault of a camera, in the words of PX4.

    Attributes:
        name: the word.
        rate_hz: images per second.
        image: makes the image of a number.
        levels: levels of the entry ``frames`` that report it.
        text: what the entry names.
    """

    name: str
    rate_hz: float
    image: Callable[[int], Message]
    levels: tuple[int, ...]
    text: str


def _repeated(_: int) -> Message:
    return random_image(0)


def _garbage(number: int) -> Message:
    image = random_image(number)
    image.step = 7
    return image


_WORDS = (
    _Word('stuck', _RATE_HZ, _repeated, (WARN,), 'stuck'),
    _Word('garbage', _RATE_HZ, _garbage, (WARN, ERROR), 'bad images'),
    _Word('slow', 2.0, random_image, (WARN,), 'slow'),
    _Word('off', 0.0, random_image, (STALE,), 'no image'),
)


class _Camera:
    """Publishes images on a thread, good ones unless a word is set."""

    def __init__(self, node: NodeProcess) -> None:
        self.word: _Word | None = None
        self._node = node
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for number in itertools.count():
            word = self.word
            rate_hz = _RATE_HZ if word is None else word.rate_hz
            if rate_hz:
                image = random_image(number) if word is None else word.image(number)
                self._node.camera_info.publish(calibration(stamp_ns=next_stamp_ns()))
                self._node.image.publish(image)
            if self._ends.wait(1 / (rate_hz or _RATE_HZ)):
                return

    def end(self) -> None:
        """Stop publishing."""
        self._ends.set()
        self._thread.join()


def disturb_camera(trials: int, seed: int) -> Trials:
    """Let a camera fail in each word in turn; it must be named, and be OK again afterwards."""
    failures: list[str] = []
    alarm_s: list[float] = []
    with NodeProcess() as node:
        camera = _Camera(node)
        try:
            for trial in range(trials):
                word = _WORDS[trial % len(_WORDS)]
                time.sleep(_USUAL_S)
                if node.report['frames'].level != OK:
                    failures.append(f'{trial}: before the fault: {node.report["frames"].message}')
                camera.word = word
                seconds = node.wait_for_status('frames', word.levels, word.text, _OK_LIMIT_S)
                camera.word = None
                if seconds is None:
                    failures.append(f'{trial}, {word.name}: not named')
                    continue
                alarm_s.append(seconds)
                if seconds > _ALARM_LIMIT_S:
                    failures.append(f'{trial}, {word.name}: named after {seconds:.1f} s')
                if node.wait_for_status('frames', (OK,), limit_s=_OK_LIMIT_S) is None:
                    failures.append(f'{trial}, {word.name}: not OK again')
        finally:
            camera.end()
        failures += node.check_survival()
    seconds = _STATIC_S if trials >= len(_WORDS) else _STATIC_S // 60
    alarms = _watch_static_scene(seconds, seed)
    if alarms:
        failures.append(f'{alarms} false alarms in {seconds} s of a static scene')
    figures = {
        'alarm_max_s': max(alarm_s, default=float('nan')),
        'static_scene_s': float(seconds),
        'false_alarms': float(alarms),
    }
    return Trials(trials, tuple(failures), figures)


def _watch_static_scene(seconds: int, seed: int) -> int:
    """Return the false alarms of a static scene with sensor noise and jitter, faster than live."""
    random = np.random.default_rng(seed)
    image = random_image(seed)
    scene = np.frombuffer(image.data, np.uint8) // 2
    now_s = [0.0]
    watch = CameraWatch(lambda: now_s[0])
    alarms = 0
    for second in range(seconds):
        jitter = random.uniform(-_JITTER, _JITTER, _STATIC_HZ)
        for index, offset in enumerate(jitter):
            now_s[0] = second + (index + 0.5 + offset) / _STATIC_HZ
            noise = random.integers(0, _NOISE, scene.size, dtype=np.uint8)
            image.data = (scene + noise).tobytes()
            watch.add(image)
        now_s[0] = second + 1.0
        report = watch.report()
        alarms += report.is_silent or bool(report.problem)
    return alarms
