"""Rows of the fault table on the stream, without a node: very many messages in little time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
import itertools
import resource
import time

import numpy as np

from robot_perception.conversions import header_message, image_message, Message
from robot_perception.faults.bombs import bombs
from robot_perception.faults.calibration_mutations import mutated_calibrations
from robot_perception.faults.depth_mutations import mutated_packets
from robot_perception.faults.file_mutations import compressed_message, mutated_files
from robot_perception.faults.image_mutations import (
    COLOR,
    DEPTH,
    good_image,
    invalid_depths,
    mutated_images,
)
from robot_perception.faults.message_stream import (
    FACTORY,
    FRAME_ID,
    MessageStream,
    Result,
    SIZE_HW,
)
from robot_perception.faults.mutation import Verdict
from robot_perception.faults.outcome import Trials
from robot_perception.faults.transform_mutations import mutated_transforms, TransformFields
from robot_perception.pipeline import Value
from robot_perception.sources import Role

_GOLDEN_PERIOD = 50
_SIDES = (0, 1, 2, 3, 13, 14, 15, 639, 641)
_MAX_CLAIM_S, _MAX_CLAIM_MIB = 0.005, 16.0
_MAX_FILE_S, _MAX_REFUSAL_S = 0.1, 0.05
# Four bytes for each pixel that is allowed, and 64 MiB.
_MAX_FILE_MIB = 4 * 2**25 / 2**20 + 64.0
_KIB_PER_MIB = 1024
_SENSOR: Mapping[str, Value] = {'depth.source': 'sensor', 'depth.max_offset_s': 0.01}
# Ten times the farthest depth that is taken for known.
_MAX_SENSOR_RANGE_M = 1e5
# Markers are also published to delete those of earlier images.
_IN_3D = frozenset({'points', 'points/objects', 'points/background', 'detections_3d'})
_IN_2D = frozenset({'features', 'detections', 'masks/instances', 'masks/classes', 'overlay'})


class _Log:
    """What was wrong, and what was counted."""

    def __init__(self, stream: MessageStream) -> None:
        self.stream = stream
        self.failures: list[str] = []
        self.counts: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._start_kib = _peak_kib()

    @property
    def memory_mib(self) -> float:
        """Rise of the peak of resident memory since the start."""
        return (_peak_kib() - self._start_kib) / _KIB_PER_MIB

    def process(self, name: str, image: Message) -> Result | None:
        """Process an image; every so often then also a valid one, which must give what it gave."""
        self.counts['messages'] += 1
        try:
            result = self.stream.process(image)
        except Exception as error:  # noqa: BLE001 - any is a failure
            self.fail(name, f'{type(error).__name__}: {error}')
            return None
        self.seconds.append(result.cpu_s)
        self.counts['refused' if result.refusal else 'processed'] += 1
        for problem in result.problems:
            self.fail(name, problem)
        if self.counts['messages'] % _GOLDEN_PERIOD == 0:
            self.counts['golden'] += 1
            self.require(not (wrong := self.stream.check_golden()), name, wrong)
        return result

    def fail(self, name: str, what: str) -> None:
        self.failures.append(f'{name}: {what[:200]}')

    def require(self, condition: bool, name: str, what: str) -> None:  # noqa: FBT001 - as assert
        if not condition:
            self.fail(name, what)

    def check_verdict(self, name: str, verdict: Verdict, refusal: str) -> None:
        """Compare a refusal, empty for none, with what the definitions demand."""
        if verdict is Verdict.LEGAL:
            self.require(not refusal, name, f'is legal and was refused ({refusal})')
        elif verdict is Verdict.REFUSED:
            self.require(bool(refusal), name, 'must be refused and was not')

    def trials(self, **figures: float) -> Trials:
        """Return the outcome with the counts."""
        p99_s = float(np.percentile(self.seconds, 99)) if self.seconds else 0.0
        values = {**self.counts, 'cpu_p99_s': p99_s, **figures}
        return Trials(self.counts['messages'], tuple(self.failures), values)


def images(trials: int, seed: int = 0) -> Trials:
    """Row 1 and 2: mutated images, among them truncated and empty ones."""
    log = _Log(MessageStream())
    for one in mutated_images(trials, seed, COLOR):
        result = log.process(one.name, one.subject.message(FACTORY))
        if result is not None:
            log.check_verdict(one.name, one.verdict, result.refusal)
    return log.trials()


def sizes(_: int = 0, seed: int = 0) -> Trials:
    """Row 3: images without pixels, of one pixel, with odd sides, very thin."""
    log = _Log(MessageStream())
    for height, width in itertools.product(_SIDES, repeat=2):
        name = f'{width}x{height}'
        result = log.process(name, good_image(seed, height, width).message(FACTORY))
        if result is not None:
            log.require(bool(result.refusal) == (0 in {height, width}), name, result.refusal)
    return log.trials()


def claims(trials: int, seed: int = 0) -> Trials:
    """Row 4: images that claim up to 2^32 - 1 rows and columns and have few bytes."""
    sides = (2**16, 2**16 + 1, 0x40000001, 2**31, 2**32 - 1)
    rng = np.random.default_rng(seed)
    log = _Log(MessageStream())
    for number in range(trials):
        fields = good_image(number)
        fields.height, fields.width = (int(rng.choice(sides)) for _ in range(2))
        fields.encoding = str(rng.choice(list(COLOR)))
        fields.step = int(rng.choice((0, fields.width * 3 % 2**32, 2**32 - 1)))
        result = log.process(f'{number}', fields.message(FACTORY))
        log.require(result is not None and bool(result.refusal), f'{number}', 'was not refused')
    slowest_s, memory_mib = max(log.seconds, default=0.0), log.memory_mib
    log.require(slowest_s < _MAX_CLAIM_S, 'time', f'{1e3 * slowest_s:.1f} ms')
    log.require(memory_mib <= _MAX_CLAIM_MIB, 'memory', f'{memory_mib:.1f} MiB')
    return log.trials(slowest_cpu_s=slowest_s, memory_mib=memory_mib)


def switches(trials: int, seed: int = 0) -> Trials:
    """Row 5: every tenth image has another size and encoding than the one before."""
    rng = np.random.default_rng(seed)
    log = _Log(MessageStream({'camera.fallback_hfov_deg': 60.0}))
    form, sizes_hw = ('rgb8', SIZE_HW), (SIZE_HW, (24, 32), (96, 128), (64, 48), (1, 1))
    for number in range(trials):
        if number % 10 == 0:
            log.counts['switches'] += 1
            form = str(rng.choice(list(COLOR))), sizes_hw[rng.integers(len(sizes_hw))]
        encoding, (height, width) = form
        if encoding.startswith(('bayer', 'nv', 'yuv', 'uyvy', 'yuyv')):
            height, width = max(height, 4), max(width, 4)
        image = good_image(number, height, width, encoding).message(FACTORY)
        result = log.process(f'{number}-{encoding}-{width}x{height}', image)
        if result is not None:
            log.require(not result.refusal, f'{number}', f'was refused: {result.refusal}')
    return log.trials()


def invalid_depth(trials: int, seed: int = 0) -> Trials:
    """Row 6: depth images of which 0 to 100 % of the pixels are invalid."""
    log = _Log(MessageStream(_SENSOR, _MAX_SENSOR_RANGE_M))
    for number, (share, fields) in enumerate(invalid_depths(trials, SIZE_HW, seed)):
        name = f'{number}-{fields.encoding}-{share:.0%}'
        _add_depth(log.stream, Role.DEPTH, fields.message(FACTORY))
        result = log.process(name, _image_at(fields.sec))
        if result is None or result.status is None:
            log.fail(name, 'the image was refused')
            continue
        log.require(set(result.outputs) >= _IN_2D | _IN_3D, name, 'an output is missing')
        if share == 1 and 'points/objects' in result.outputs:
            located = result.outputs['detections_3d'].detections
            points = result.outputs['points/objects'].width
            log.require(not located and not points, name, 'objects without depth have positions')
            log.require(not result.status.depth.is_usable, name, 'empty depth is not reported')
    return log.trials()


def mutated_depth(trials: int, seed: int = 0) -> Trials:
    """Mutated depth images, raw and compressedDepth in turn; 2D goes on without depth."""
    log = _Log(MessageStream(_SENSOR, _MAX_SENSOR_RANGE_M))
    packets = mutated_packets(trials - trials // 2, SIZE_HW, seed)
    raw = mutated_images(trials // 2, seed, DEPTH, SIZE_HW)
    pairs = itertools.zip_longest(packets, raw)
    seconds = itertools.count(1000)
    for one in itertools.chain.from_iterable(pairs):
        if one is None:
            continue
        second = next(seconds)
        if isinstance(one.subject, tuple):
            data, name = one.subject
            message = compressed_message(FACTORY, data, name, second * 10**9)
            role, needs_transform = Role.COMPRESSED_DEPTH, False
        else:
            message = one.subject.message(FACTORY)
            role, fields = Role.DEPTH, one.subject
            is_registered = fields.frame_id in {'', FRAME_ID}
            needs_transform = not is_registered or (fields.height, fields.width) != SIZE_HW
            second = one.subject.sec if one.subject.sec > 0 else second
        _add_depth(log.stream, role, message, second)
        result = log.process(one.name, _image_at(second))
        if result is None or result.status is None:
            log.fail(one.name, 'the image was refused')
            continue
        log.require(set(result.outputs) >= _IN_2D, one.name, '2D results are missing')
        status = result.status.depth
        # Legal depth of another camera is not used without its calibration.
        if not needs_transform or one.verdict is Verdict.REFUSED:
            log.check_verdict(one.name, one.verdict, '' if status.is_usable else status.reason)
        if not status.is_usable and status.reason != 'empty_depth':
            log.counts['depth_refused'] += 1
            log.require(not _IN_3D & set(result.outputs), one.name, '3D from refused depth')
    return log.trials()


def calibrations(trials: int, seed: int = 0) -> Trials:
    """Row 7: mutated CameraInfo; 2D goes on, 3D stops without a calibration that can be used."""
    log = _Log(MessageStream())
    for number, one in enumerate(mutated_calibrations(trials, SIZE_HW, seed)):
        log.stream.calibrate(one.subject.message(FACTORY))
        result = log.process(one.name, _image_at(1000 + number))
        if result is None or result.status is None:
            log.fail(one.name, 'the image was refused')
            continue
        status = result.status.calibration
        log.counts['usable'] += status.is_usable
        log.check_verdict(one.name, one.verdict, '' if status.is_usable else status.reason)
        log.require(set(result.outputs) >= _IN_2D, one.name, '2D results are missing')
        has_3d = bool(_IN_3D & set(result.outputs))
        log.require(has_3d == status.is_usable, one.name, '3D does not go with the calibration')
    return log.trials()


def files(trials: int, seed: int = 0) -> Trials:
    """Row 8: decompression bombs, garbage, and damaged files in CompressedImage."""
    corpus = mutated_files(trials, SIZE_HW, seed)
    # The bombs are made before memory is measured.
    for _ in itertools.islice(mutated_files(100, SIZE_HW, seed), 100):
        pass
    log = _Log(MessageStream())
    for number, one in enumerate(corpus):
        data, name = one.subject
        message = compressed_message(FACTORY, data, name, (1000 + number) * 10**9)
        result = log.process(one.name, message)
        if result is not None:
            log.check_verdict(one.name, one.verdict, result.refusal)
    memory_mib, p99_s = log.memory_mib, float(np.percentile(log.seconds, 99))
    log.require(p99_s < _MAX_FILE_S, 'time', f'p99 {1e3 * p99_s:.0f} ms')
    log.require(memory_mib <= _MAX_FILE_MIB, 'memory', f'{memory_mib:.0f} MiB')
    return log.trials(memory_mib=memory_mib, slowest_cpu_s=max(log.seconds))


def decompression_bombs(trials: int, seed: int = 0) -> Trials:
    """Row 8: small files that would take very much time or memory to decode."""
    log = _Log(MessageStream())
    refused_s = []
    for number, one in enumerate(bombs(trials, seed)):
        message = compressed_message(FACTORY, one.subject, '', (1000 + number) * 10**9)
        result = log.process(one.name, message)
        if result is not None:
            log.check_verdict(one.name, one.verdict, result.refusal)
            if result.refusal:
                refused_s.append(result.cpu_s)
    p50_s, p99_s = np.percentile(refused_s, (50, 99))
    log.require(p99_s < _MAX_REFUSAL_S, 'time', f'p99 {1e3 * p99_s:.0f} ms')
    log.require(log.memory_mib <= _MAX_FILE_MIB, 'memory', f'{log.memory_mib:.0f} MiB')
    return log.trials(
        memory_mib=log.memory_mib,
        refusal_p50_s=float(p50_s),
        refusal_p99_s=float(p99_s),
        refusal_max_s=max(refused_s),
        slowest_cpu_s=max(log.seconds),
    )


def transforms(trials: int, seed: int = 0) -> Trials:
    """Mutated transforms; those that are not valid change nothing."""
    log = _Log(MessageStream({'frames.target_frame': 'map'}))
    log.stream.synchronizer.add(Role.TF, TransformFields(sec=999).message(FACTORY))
    expected = log.stream.process(_image_at(999)).outputs['detections_3d'].detections
    for number, one in enumerate(mutated_transforms(trials, seed)):
        log.stream.synchronizer.add(Role.TF, one.subject.message(FACTORY))
        fault = log.stream.synchronizer.take_transform_fault()
        log.check_verdict(one.name, one.verdict, fault)
        good = TransformFields(sec=1000 + number)
        log.stream.synchronizer.add(Role.TF, good.message(FACTORY))
        result = log.process(one.name, _image_at(1000 + number))
        if result is None or result.status is None:
            log.fail(one.name, 'the image was refused')
            continue
        found = result.outputs['detections_3d']
        log.require(found.header.frame_id == 'map', one.name, 'results are in another frame')
        same = _positions(found.detections) == _positions(expected)
        log.require(same, one.name, 'objects have moved')
    return log.trials()


def _positions(detections: Iterable[Message]) -> list[tuple[float, float, float]]:
    centers = [one.bbox.center.position for one in detections]
    return [(one.x, one.y, one.z) for one in centers]


def _image_at(second: int) -> Message:
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    header = header_message(FACTORY, second * 10**9, FRAME_ID)
    return image_message(FACTORY, header, pixels, 'rgb8')


def _add_depth(
    stream: MessageStream, role: Role, message: Message, second: int | None = None
) -> None:
    second = message.header.stamp.sec if second is None else second
    stream.synchronizer.add(role, message, second * 10**9, time.time_ns())


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
