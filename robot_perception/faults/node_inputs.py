"""The inputs of the node, what no sender should send to them, and what a camera sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import cv2
import numpy as np

from robot_perception.conversions import (
    camera_info_message,
    header_message,
    image_message,
    Message,
)
from robot_perception.faults.calibration_mutations import mutated_calibrations
from robot_perception.faults.camera import CAMERA, FRAME_ID, next_stamp_ns, SIZE_HW
from robot_perception.faults.depth_mutations import compressed_depth, mutated_packets
from robot_perception.faults.file_mutations import compressed_message, mutated_files
from robot_perception.faults.image_mutations import COLOR, DEPTH, mutated_images
from robot_perception.faults.message_stream import FACTORY
from robot_perception.faults.mutation import Mutated
from robot_perception.faults.transform_mutations import mutated_transforms, TransformFields
from robot_perception.pipeline import Value
from robot_perception.sources import message_store, Role

_SECOND_NS = 1_000_000_000
_PARENT = 'map'
_CALIBRATION, _IMAGE = ('camera_info', Role.CAMERA_INFO), ('image', Role.IMAGE)


@dataclass(frozen=True, slots=True)
class NodeInput:
    """One input of the node.

    Attributes:
        role: what its messages are for.
        topic: where the node subscribes to them.
        parameters: of a node that uses them.
        malformed: yields so many messages that their definition allows and their meaning does
            not, by a seed.
        valid: a valid message with a stamp.
        frame: topics and roles of one image and all that belongs to it.
    """

    role: Role
    topic: str
    malformed: Callable[[int, int], Iterator[Mutated[Message]]]
    valid: Callable[[int], Message]
    parameters: Mapping[str, Value] = field(default_factory=dict)
    frame: tuple[tuple[str, Role], ...] = (_CALIBRATION, _IMAGE)

    @property
    def has_image(self) -> bool:
        """Whether an image has to follow a message for it to be used."""
        return self.frame[-1][0] != self.topic

    def serialized(self, count: int, seed: int) -> Iterator[Mutated[bytes]]:
        """Yield `malformed` messages as the middleware transports them."""
        for one in self.malformed(count, seed):
            yield replace(one, subject=serialize(self.role, one.subject))


def serialize(role: Role, message: Message) -> bytes:
    """Serialize a message of `FACTORY`."""
    return bytes(_store().serialize_cdr(message, role.type_name))


@cache
def _store() -> Message:
    return message_store()


def valid_message(role: Role, stamp_ns: int, seed: int = 0) -> Message:
    """Return a valid message of a small camera; ``seed`` is that of the noise of images."""
    noise = np.random.default_rng(seed)
    header = header_message(FACTORY, stamp_ns, FRAME_ID)
    if role is Role.CAMERA_INFO:
        return camera_info_message(FACTORY, header, CAMERA)
    if role is Role.TF:
        sec, nanosec = divmod(stamp_ns, _SECOND_NS)
        return TransformFields(_PARENT, FRAME_ID, sec, nanosec).message(FACTORY)
    pixels = noise.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    if role is Role.IMAGE:
        return image_message(FACTORY, header, pixels, 'rgb8')
    if role is Role.COMPRESSED_IMAGE:
        data = cv2.imencode('.png', pixels)[1].tobytes()
        return compressed_message(FACTORY, data, 'png', stamp_ns)
    depth = noise.integers(500, 5000, SIZE_HW, dtype=np.uint16)
    if role is Role.DEPTH:
        return image_message(FACTORY, header, depth, '16UC1')
    data = compressed_depth(depth, 'png')
    return compressed_message(FACTORY, data, '16UC1; compressedDepth png', stamp_ns)


def _images(count: int, seed: int) -> Iterator[Mutated[Message]]:
    for one in mutated_images(count, seed, COLOR):
        yield Mutated(one.name, one.subject.message(FACTORY), one.verdict)


def _compressed_images(count: int, seed: int) -> Iterator[Mutated[Message]]:
    for one in mutated_files(count, SIZE_HW, seed):
        message = compressed_message(FACTORY, *one.subject, next_stamp_ns())
        yield Mutated(one.name, message, one.verdict)


def _calibrations(count: int, seed: int) -> Iterator[Mutated[Message]]:
    for one in mutated_calibrations(count, SIZE_HW, seed):
        message = one.subject.message(FACTORY, next_stamp_ns())
        yield Mutated(one.name, message, one.verdict)


def _depth(count: int, seed: int) -> Iterator[Mutated[Message]]:
    for one in mutated_images(count, seed, DEPTH, SIZE_HW):
        yield Mutated(one.name, one.subject.message(FACTORY), one.verdict)


def _compressed_depth(count: int, seed: int) -> Iterator[Mutated[Message]]:
    for one in mutated_packets(count, SIZE_HW, seed):
        message = compressed_message(FACTORY, *one.subject, next_stamp_ns())
        yield Mutated(one.name, message, one.verdict)


def _transforms(count: int, seed: int) -> Iterator[Mutated[Message]]:
    for one in mutated_transforms(count, seed):
        fields = one.subject
        if fields.sec > 0:
            sec, nanosec = divmod(next_stamp_ns(), _SECOND_NS)
            fields = replace(fields, sec=sec, nanosec=nanosec)
        yield Mutated(one.name, fields.message(FACTORY), one.verdict)


def _other_transform(stamp_ns: int) -> Message:
    """Return a transform between frames that no result needs, whatever becomes of its bits."""
    sec, nanosec = divmod(stamp_ns, _SECOND_NS)
    return TransformFields('arm', 'hand', sec, nanosec).message(FACTORY)


def _valid(role: Role) -> Callable[[int], Message]:
    return lambda stamp_ns: valid_message(role, stamp_ns)


_SENSOR: Mapping[str, Value] = {'depth.source': 'sensor'}
NODE_INPUTS = (
    NodeInput(Role.IMAGE, 'image', _images, _valid(Role.IMAGE)),
    NodeInput(
        Role.COMPRESSED_IMAGE,
        'image/compressed',
        _compressed_images,
        _valid(Role.COMPRESSED_IMAGE),
        {'input.transport': 'compressed'},
        (_CALIBRATION, ('image/compressed', Role.COMPRESSED_IMAGE)),
    ),
    NodeInput(Role.CAMERA_INFO, 'camera_info', _calibrations, _valid(Role.CAMERA_INFO)),
    NodeInput(
        Role.DEPTH,
        'depth',
        _depth,
        _valid(Role.DEPTH),
        _SENSOR,
        (_CALIBRATION, ('depth', Role.DEPTH), _IMAGE),
    ),
    NodeInput(
        Role.COMPRESSED_DEPTH,
        'depth/compressedDepth',
        _compressed_depth,
        _valid(Role.COMPRESSED_DEPTH),
        _SENSOR,
        (_CALIBRATION, ('depth/compressedDepth', Role.COMPRESSED_DEPTH), _IMAGE),
    ),
    NodeInput(
        Role.TF,
        'tf',
        _transforms,
        _other_transform,
        {'frames.target_frame': _PARENT},
        (_CALIBRATION, ('tf', Role.TF), _IMAGE),
    ),
)
