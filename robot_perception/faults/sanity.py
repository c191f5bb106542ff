"""Whether an output can be used by others, whatever its input was."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from robot_perception.conversions import Message
from robot_perception.core import AnyArray

_QUATERNION_TOLERANCE = 1e-3
_CHANNELS = {'32FC1': 4, 'mono16': 2, 'mono8': 1, 'rgb8': 3}


def output_problems(
    topic: str, message: Message, size_hw: tuple[int, int], max_range_m: float
) -> list[str]:
    """Return what is wrong with an output.

    Args:
        topic: the output.
        message: its message, of any library.
        size_hw: rows and columns of the image.
        max_range_m: farthest coordinate that is plausible.
    """
    check = _CHECKS.get(topic)
    if check is None:
        return []
    return [f'{topic}: {problem}' for problem in check(message, size_hw, max_range_m)]


def _image(message: Message, size_hw: tuple[int, int], _: float) -> Iterator[str]:
    if (message.height, message.width) != size_hw:
        yield f'{message.width}x{message.height} instead of {size_hw[1]}x{size_hw[0]} pixels'
    expected = message.width * _CHANNELS[message.encoding]
    if message.step != expected or len(message.data) != message.step * message.height:
        yield f'step {message.step}, {len(message.data)} bytes'


def _depth(message: Message, size_hw: tuple[int, int], max_range_m: float) -> Iterator[str]:
    yield from _image(message, size_hw, max_range_m)
    meters = np.frombuffer(bytes(message.data), '<f4')
    known = meters[~np.isnan(meters)]
    if not (np.isfinite(known).all() and (known > 0).all()):
        yield 'depth that is neither NaN nor positive'


def _cloud(message: Message, _: tuple[int, int], max_range_m: float) -> Iterator[str]:
    if message.row_step != message.point_step * message.width:
        yield f'row_step {message.row_step} of {message.width} points of {message.point_step}'
    if len(message.data) != message.row_step * message.height:
        yield f'{len(message.data)} bytes of {message.height} rows of {message.row_step}'
    if [field.name for field in message.fields[:3]] != ['x', 'y', 'z']:
        yield 'no fields x, y and z'
        return
    rows = np.frombuffer(bytes(message.data), np.uint8).reshape(-1, message.point_step)
    xyz = np.ascontiguousarray(rows[:, :12]).view('<f4')
    unknown = np.isnan(xyz).any(axis=1)
    if message.is_dense and unknown.any():
        yield 'unknown points in a cloud that is dense'
    yield from _far(xyz[~unknown], max_range_m)


def _organized(message: Message, size_hw: tuple[int, int], max_range_m: float) -> Iterator[str]:
    if (message.height, message.width) != size_hw:
        yield f'{message.width}x{message.height} instead of {size_hw[1]}x{size_hw[0]} points'
    yield from _cloud(message, size_hw, max_range_m)


def _far(values: AnyArray, max_range_m: float) -> Iterator[str]:
    if not np.isfinite(values).all():
        yield 'coordinates that are not finite'
    elif values.size and np.abs(values).max() > max_range_m:
        yield f'coordinates up to {np.abs(values).max():.3g} m'


def _detections(message: Message, size_hw: tuple[int, int], _: float) -> Iterator[str]:
    for one in message.detections:
        box = one.bbox
        center = (box.center.position.x, box.center.position.y)
        values = np.array([*center, box.size_x, box.size_y, box.center.theta])
        if not np.isfinite(values).all() or min(box.size_x, box.size_y) < 0:
            yield f'a box {values}'
        elif not all(0 <= at <= side for at, side in zip(center, size_hw[::-1], strict=True)):
            yield f'a box around {center}'
        yield from _scores(one)


def _scores(detection: Message) -> Iterator[str]:
    for result in detection.results:
        if not 0 <= result.hypothesis.score <= 1:
            yield f'a score of {result.hypothesis.score}'


def _detections_3d(message: Message, _: tuple[int, int], max_range_m: float) -> Iterator[str]:
    for one in message.detections:
        box, pose = one.bbox, one.results[0].pose
        sides = np.array([box.size.x, box.size.y, box.size.z])
        if not np.isfinite(sides).all() or (sides < 0).any():
            yield f'a box of {sides}'
        if not np.isfinite(np.array(pose.covariance)).all():
            yield 'a covariance that is not finite'
        for part in (box.center, pose.pose):
            yield from _pose(part, max_range_m)
        # A box may reach from one side of the axis to the other.
        yield from _far(sides / 2, max_range_m)
        yield from _scores(one)


def _pose(pose: Message, max_range_m: float) -> Iterator[str]:
    at, turn = pose.position, pose.orientation
    yield from _far(np.array([at.x, at.y, at.z]), max_range_m)
    norm = float(np.linalg.norm([turn.x, turn.y, turn.z, turn.w]))
    # A norm that is NaN is wrong too.
    if not abs(norm - 1) <= _QUATERNION_TOLERANCE:
        yield f'a quaternion of length {norm}'


def _markers(message: Message, _: tuple[int, int], max_range_m: float) -> Iterator[str]:
    for marker in message.markers:
        # Markers that only delete others have no pose.
        if marker.action == marker.ADD:
            yield from _pose(marker.pose, max_range_m)


def _features(message: Message, _: tuple[int, int], __: float) -> Iterator[str]:
    if not np.isfinite(np.array(message.vector)).all():
        yield 'numbers that are not finite'


_CHECKS: dict[str, Callable[[Message, tuple[int, int], float], Iterator[str]]] = {
    'features': _features,
    'depth/image': _depth,
    'points': _organized,
    'points/objects': _cloud,
    'points/background': _cloud,
    'detections': _detections,
    'detections_3d': _detections_3d,
    'masks/instances': _image,
    'masks/classes': _image,
    'overlay': _image,
    'markers': _markers,
}
