"""Ground truth from a bag that `robot-perception world record` wrote. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from robot_perception import conversions
from robot_perception.conversions import Message
from robot_perception.core import (
    Box3D,
    Detections,
    Float64Array,
    InputError,
    Masks,
    ObjectPosition,
    SceneObject,
    SourceError,
)
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.sources import BagFile, decode, message_store, open_bag

_IMAGE, _JPEG = '/camera/image_raw', '/camera/image_raw/compressed'
_CAMERA_INFO = '/camera/camera_info'
_DETECTIONS, _DETECTIONS_3D = '/truth/detections', '/truth/detections_3d'
_INSTANCES, _DEPTH = '/truth/instances', '/truth/depth'
_REQUIRED = (_CAMERA_INFO, _DETECTIONS, _DETECTIONS_3D, _INSTANCES, _DEPTH)
# Messages carry the names of classes, not their ids.
_NO_CLASS_ID = -1


def read_bag_ground_truth(path: Path) -> Iterator[GroundTruth]:
    """Read the frames of a rosbag2, a folder or a single file, with their ground truth.

    A frame consists of the messages of one stamp; incomplete frames are skipped. The type of the
    scene is not recorded.

    Raises:
        SourceError: not a bag; ``'missing_topic'``; ``'damaged'``, a message cannot be decoded or
            contradicts the others. Frames before it are yielded first.
    """
    with closing(open_bag(path)) as bag:
        image_topic = _check_topics(bag, path)
        topics = (image_topic, *_REQUIRED)
        types = message_store()
        waiting: dict[int, dict[str, Message]] = {}
        for message in bag.messages(topics):
            content: Message = decode(
                types, message.data, message.type_name, f'{path}: {message.topic}'
            )
            stamp_ns, _ = conversions.read_header(content.header)
            frame = waiting.setdefault(stamp_ns, {})
            frame[message.topic] = content
            if len(frame) == len(topics):
                try:
                    truth = _make_ground_truth(frame, image_topic)
                except ValueError as error:
                    raise SourceError(
                        'damaged',
                        f'{path}: frame {stamp_ns}: expected readable ground truth, got {error} '
                        'Record it again: robot-perception world record.',
                    ) from error
                yield truth
                # Older frames will not be completed any more.
                waiting = {stamp: one for stamp, one in waiting.items() if stamp > stamp_ns}


def _check_topics(bag: BagFile, path: Path) -> str:
    """Return the topic of the images; raise SourceError when a topic is missing."""
    present = {topic.name for topic in bag.topics()}
    missing = [topic for topic in _REQUIRED if topic not in present]
    image_topic = next((topic for topic in (_IMAGE, _JPEG) if topic in present), None)
    if image_topic is None:
        missing.insert(0, _IMAGE)
    if missing or image_topic is None:
        raise SourceError(
            'missing_topic',
            f'{path}: expected a recording with its ground truth, got one without '
            f'{", ".join(missing)}. Record one: robot-perception world record.',
        )
    return image_topic


def _make_ground_truth(messages: Mapping[str, Message], image_topic: str) -> GroundTruth:
    to_image = conversions.compressed_to_image if image_topic == _JPEG else conversions.to_image
    items = messages[_DETECTIONS].detections
    detections = _detections(items)
    depth = conversions.to_depth(messages[_DEPTH])
    instances = conversions.to_instances(messages[_INSTANCES])
    numbers = np.arange(1, len(detections) + 1, dtype=np.uint16)
    masks = Masks(instances == numbers[:, None, None], np.ones(len(numbers), np.float32))
    if depth.size_hw != masks.size_hw:
        raise InputError(
            'size_mismatch',
            f'depth: expected the size of the instances {masks.size_hw}, got {depth.size_hw}.',
        )
    camera = conversions.to_camera(messages[_CAMERA_INFO], rectified=False)
    z = depth.meters.astype(np.float64)[..., None]
    points = np.concatenate([camera.rays().astype(np.float64) * z, z], axis=-1)
    detections_3d = {item.id: item for item in messages[_DETECTIONS_3D].detections}
    return GroundTruth(
        image=to_image(messages[image_topic]),
        camera=camera,
        depth=depth,
        detections=detections,
        masks=masks,
        objects=tuple(
            SceneObject.from_detections(
                detections,
                index,
                _position(detections_3d.get(item.id), points[masks.pixels[index]]),
            )
            for index, item in enumerate(items)
        ),
    )


def _detections(items: Sequence[Message]) -> Detections:
    """Convert the true objects; their score is the visible share, their class id unknown."""
    boxes = np.array([_box_xyxy(item.bbox) for item in items], np.float32)
    hypotheses = [_only(item.results).hypothesis for item in items]
    return Detections(
        boxes.reshape(-1, 4),
        np.array([one.score for one in hypotheses], np.float32),
        np.full(len(items), _NO_CLASS_ID, np.int32),
        tuple(str(one.class_id) for one in hypotheses),
        np.array([int(item.id) for item in items], np.int64),
    )


def _box_xyxy(box: Message) -> tuple[float, float, float, float]:
    center, half_x, half_y = box.center.position, box.size_x / 2, box.size_y / 2
    return center.x - half_x, center.y - half_y, center.x + half_x, center.y + half_y


def _only(results: Sequence[Message]) -> Message:
    if len(results) != 1:
        raise InputError(
            'count_mismatch', f'results: expected one for each object, got {len(results)}.'
        )
    return results[0]


def _position(item: Message, points_m: Float64Array) -> ObjectPosition | None:
    if item is None:
        return None
    known = points_m[np.isfinite(points_m).all(axis=1)]
    offsets = known - known.mean(axis=0) if len(known) else known
    pose, box = _only(item.results).pose, item.bbox
    covariance_m2 = np.array(pose.covariance, np.float64).reshape(6, 6)[:3, :3]
    # Recordings of version 0.1.0 have zeros, which stand for an unknown covariance in ROS.
    is_known = np.isfinite(covariance_m2).all() and covariance_m2.any()
    at, center, turn = pose.pose.position, box.center.position, box.center.orientation
    return ObjectPosition(
        depth_m=float(np.median(known[:, 2])) if len(known) else float(at.z),
        centroid_m=(at.x, at.y, at.z),
        points_covariance_m2=offsets.T @ offsets / max(1, len(offsets)),
        box=Box3D(
            center_m=(center.x, center.y, center.z),
            size_m=(box.size.x, box.size.y, box.size.z),
            rotation_xyzw=(turn.x, turn.y, turn.z, turn.w),
        ),
        covariance_m2=covariance_m2 if is_known else None,
    )
