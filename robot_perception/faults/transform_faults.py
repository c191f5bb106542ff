"""Row 19: transforms that are missing, not finite, or no rotation."""

from __future__ import annotations

from collections.abc import Callable
import math
import random
from typing import Any

from rclpy.serialization import deserialize_message

from robot_perception.conversions import Message
from robot_perception.faults.camera import FRAME_ID, next_stamp_ns, random_image
from robot_perception.faults.mutation import seeded
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.observation import OK, WARN
from robot_perception.faults.outcome import Trials
from robot_perception.nodes import message_class, message_stamp_ns

_TARGET = 'base_link'
_TF = 'tf2_msgs/msg/TFMessage'
_OBJECTS = 'vision_msgs/msg/Detection3DArray'
_LIMIT_S = 15.0
_NORM_TOLERANCE = 1e-3
_BAD = (math.nan, math.inf, -math.inf, 1e300)


def _bad_translation(item: Message, choices: random.Random) -> None:
    setattr(item.transform.translation, choices.choice('xyz'), choices.choice(_BAD[:3]))


def _bad_rotation(item: Message, choices: random.Random) -> None:
    setattr(item.transform.rotation, choices.choice('xyzw'), choices.choice(_BAD))


def _zero_rotation(item: Message, _: random.Random) -> None:
    item.transform.rotation.w = 0.0


def _long_rotation(item: Message, choices: random.Random) -> None:
    item.transform.rotation.w = choices.choice((0.5, 2.0, 1e-12))


def _bad_frames(item: Message, choices: random.Random) -> None:
    item.header.frame_id, item.child_frame_id = choices.choice(
        (('', FRAME_ID), (_TARGET, ''), (FRAME_ID, FRAME_ID), ('x' * 65536, FRAME_ID))
    )


def _other_frame(item: Message, _: random.Random) -> None:
    item.header.frame_id = 'another_robot'


def _bad_stamp(item: Message, choices: random.Random) -> None:
    item.header.stamp.sec, item.header.stamp.nanosec = choices.choice(
        ((-1, 0), (0, 2**32 - 1), (2**31 - 1, 999_999_999))
    )


_FAULTS: tuple[Callable[[Any, random.Random], None], ...] = (
    *(_bad_translation, _bad_rotation, _zero_rotation, _long_rotation),
    *(_bad_frames, _other_frame, _bad_stamp),
)


def break_transforms(trials: int, seed: int) -> Trials:
    """Publish bad transforms; no pose may be published that is not finite or not a rotation."""
    choices = seeded(seed)
    failures: list[str] = []
    poses = bad = 0
    with NodeProcess({'frames.target_frame': _TARGET, 'frames.tf_wait_s': 0.02}) as node:
        transforms = node.publisher('tf', _TF)
        node.wait(lambda: transforms.get_subscription_count() > 0, 10.0)
        if node.wait_for_status('tf', (WARN,), _TARGET) is None:
            failures.append(f'the missing frame is not named: {node.report["tf"]}')
        for trial in range(trials):
            fault = _FAULTS[trial % len(_FAULTS)]
            item = _transform()
            fault(item, choices)
            transforms.publish(message_class(_TF)(transforms=[item]))
            image = random_image(seed + trial)
            if node.send(image, _LIMIT_S, 'detections_3d') is None:
                failures.append(f'{trial}, {fault.__name__}: no objects')
                continue
            data = node.outputs['detections_3d'][-1].data
            objects = deserialize_message(data, message_class(_OBJECTS)).detections
            poses += len(objects)
            wrong = sum(not _is_pose(one.bbox.center) for one in objects)
            if wrong:
                failures.append(f'{trial}, {fault.__name__}: {wrong} bad poses')
            bad += wrong
        failures += _check_recovery(node, transforms)
    return Trials(trials, tuple(failures), {'poses': float(poses), 'bad_poses': float(bad)})


def _check_recovery(node: NodeProcess, publisher: Any) -> list[str]:  # noqa: ANN401 - of rclpy
    """Publish a good transform; the objects must be in its frame."""
    failures = list(node.check_survival())
    for number in range(3):
        # At the time of the image, which need not wait then.
        item = _transform()
        stamp_ns = message_stamp_ns(item)
        publisher.publish(message_class(_TF)(transforms=[item]))
        node.send(random_image(number, stamp_ns), topic='detections_3d')
    if node.wait_for_status('tf', (OK,)) is None:
        failures.append(f'after a good transform: {node.report["tf"]}')
    last = deserialize_message(node.outputs['detections_3d'][-1].data, message_class(_OBJECTS))
    if last.header.frame_id != _TARGET:
        failures.append(f'after a good transform objects are in {last.header.frame_id}')
    return failures


def _transform() -> Message:
    """Return a good transform from the camera to the target frame, of now."""
    item = message_class('geometry_msgs/msg/TransformStamped')()
    item.header.stamp.sec, item.header.stamp.nanosec = divmod(next_stamp_ns(), 10**9)
    item.header.frame_id, item.child_frame_id = _TARGET, FRAME_ID
    item.transform.rotation.w = 1.0
    return item


def _is_pose(pose: Message) -> bool:
    position, turn = pose.position, pose.orientation
    values = (position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w)
    norm = math.hypot(turn.x, turn.y, turn.z, turn.w)
    return all(map(math.isfinite, values)) and abs(norm - 1) < _NORM_TOLERANCE
