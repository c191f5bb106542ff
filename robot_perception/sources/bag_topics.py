"""Which topics of a bag are the camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robot_perception.core import SourceError
from robot_perception.sources.sample import IMAGE_TYPES, Role
from robot_perception.sources.typestore import PACKAGE

DEPTH_ENCODINGS = ('16UC1', '32FC1')
_DEPTH_WORDS = ('depth', 'disparity')
_REGISTERED_WORDS = ('aligned', 'registered')
_COMPRESSED_DEPTH = 'compressedDepth'
_SCENE = f'{PACKAGE}/msg/Scene'


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of a bag that holds messages.

    Attributes:
        name: full name, such as ``/camera/color/image_raw``.
        type_name: ROS type.
        encoding: encoding of the first image, or format of the first compressed one; empty for
            other types.
        frame_id: frame of the first image or calibration, without a leading slash; empty for
            other types.
    """

    name: str
    type_name: str
    encoding: str = ''
    frame_id: str = ''

    @property
    def base(self) -> str:
        """Name without the transport: camera_info stands beside this one."""
        head, _, tail = self.name.rpartition('/')
        return head if tail in {'compressed', _COMPRESSED_DEPTH} else self.name

    @property
    def namespace(self) -> str:
        """Everything before the last part of the base name."""
        return self.base.rpartition('/')[0]

    @property
    def is_depth(self) -> bool:
        """Whether it holds depth."""
        return self.is_raw_depth or self.is_compressed_depth

    @property
    def is_raw_depth(self) -> bool:
        """Whether it holds depth images."""
        return self.type_name == Role.DEPTH.type_name and self._is_depth_encoding

    @property
    def is_compressed_depth(self) -> bool:
        """Whether it holds depth images compressed without loss."""
        return (
            self.type_name == Role.COMPRESSED_DEPTH.type_name
            and self._is_depth_encoding
            and 'jpeg' not in self.encoding
        )

    @property
    def _is_depth_encoding(self) -> bool:
        return self.encoding.partition(';')[0].strip().upper() in DEPTH_ENCODINGS

    @property
    def is_picture(self) -> bool:
        """Whether it holds pictures that are not made of depth."""
        named_depth = any(word in self.name.lower() for word in _DEPTH_WORDS)
        coded_depth = self._is_depth_encoding or 'Depth' in self.encoding
        return self.type_name in IMAGE_TYPES and not named_depth and not coded_depth


@dataclass(frozen=True, slots=True)
class TopicWish:
    """Topics the user named; None leaves the choice to this module."""

    image: str | None = None
    camera_info: str | None = None
    depth: str | None = None


@dataclass(frozen=True, slots=True)
class TopicChoice:
    """Topics by role, and notes about the choice."""

    roles: Mapping[str, Role]
    notes: tuple[str, ...] = ()


def choose_topics(topics: Sequence[Topic], wish: TopicWish, bag: str) -> TopicChoice:
    """Pick the one camera of ``bag``, its calibration and its depth from topics with messages.

    Results of this package are not chosen unless they are named.

    Raises:
        SourceError: no camera, several cameras and none named, or a named topic that is absent
            or of a wrong type.
    """
    nodes = tuple(f'{topic.namespace}/' for topic in topics if topic.type_name == _SCENE)
    inputs = [topic for topic in topics if not topic.name.startswith(nodes)]
    image = _choose_image(inputs if wish.image is None else topics, wish.image, bag)
    info, info_notes = _choose_camera_info(topics, image, wish.camera_info, bag)
    depth, depth_notes = _choose_depth(
        inputs if wish.depth is None else topics, image, wish.depth, bag
    )
    raw = image.type_name == Role.IMAGE.type_name
    roles = {image.name: Role.IMAGE if raw else Role.COMPRESSED_IMAGE}
    if info is not None:
        roles[info.name] = Role.CAMERA_INFO
    others = [(Role.TF, '/tf'), (Role.TF_STATIC, '/tf_static')]
    recorded = {(topic.name, topic.type_name) for topic in topics}
    if depth is not None:
        roles[depth.name] = _depth_role(depth)
        sibling = f'{depth.namespace}/camera_info'
        infos = [topic for topic in topics if topic.type_name == Role.CAMERA_INFO.type_name]
        of_frame = _of_frame(infos, depth)
        if of_frame is not None and (sibling, of_frame.type_name) not in recorded:
            sibling = of_frame.name
        others.insert(0, (Role.DEPTH_CAMERA_INFO, sibling))
    for role, name in others:
        if name not in roles and (name, role.type_name) in recorded:
            roles[name] = role
    return TopicChoice(roles, info_notes + depth_notes)


def _depth_role(topic: Topic) -> Role:
    is_raw = topic.type_name == Role.DEPTH.type_name
    return Role.DEPTH if is_raw else Role.COMPRESSED_DEPTH


def _choose_image(topics: Sequence[Topic], wish: str | None, bag: str) -> Topic:
    if wish is not None:
        named = [topic for topic in topics if topic.type_name in IMAGE_TYPES]
        return _named(named, wish, 'image_topic (--image-topic)', bag)
    pictures = [topic for topic in topics if topic.is_picture]
    raw = {topic.base for topic in pictures if topic.type_name == Role.IMAGE.type_name}
    # One camera often records both; the raw pictures need no decoding.
    cameras = [
        topic
        for topic in pictures
        if topic.type_name == Role.IMAGE.type_name or topic.base not in raw
    ]
    if not cameras:
        raise SourceError(
            'no_camera',
            f'{bag}: expected a topic of camera images, got {_listed(topics)}. '
            'Record one (sensor_msgs Image or CompressedImage), or name it with image_topic '
            '(--image-topic).',
        )
    if len(cameras) > 1:
        # Pictures that no camera took, such as masks, have no calibration beside them.
        infos = {topic.name for topic in topics if topic.type_name == Role.CAMERA_INFO.type_name}
        calibrated = [topic for topic in cameras if f'{topic.namespace}/camera_info' in infos]
        if len(calibrated) == 1:
            return calibrated[0]
        raise SourceError(
            'several_cameras',
            f'{bag}: expected one camera, got {_listed(cameras)}. '
            'Choose one with image_topic (--image-topic).',
        )
    return cameras[0]


def _choose_camera_info(
    topics: Sequence[Topic], image: Topic, wish: str | None, bag: str
) -> tuple[Topic | None, tuple[str, ...]]:
    infos = [topic for topic in topics if topic.type_name == Role.CAMERA_INFO.type_name]
    if wish is not None:
        return _named(infos, wish, 'camera_info_topic (--camera-info-topic)', bag), ()
    sibling = f'{image.namespace}/camera_info'
    for topic in infos:
        if topic.name == sibling:
            return topic, ()
    of_frame = _of_frame(infos, image)
    if of_frame is not None:
        note = (
            f'{bag}: no {sibling} beside {image.name}; {of_frame.name} is taken, the only '
            f'calibration of its frame {image.frame_id}.'
        )
        return of_frame, (note,)
    note = (
        f'{bag}: no {sibling} beside {image.name}, so nothing 3D can be made, unless '
        f'camera.fallback_hfov_deg is set. Calibrations there: {_listed(infos)}; choose one with '
        'camera_info_topic (--camera-info-topic).'
    )
    return None, (note,)


def _of_frame(infos: Sequence[Topic], image: Topic) -> Topic | None:
    """Return the only calibration of the frame of an image, None without one or with several."""
    found = [topic for topic in infos if image.frame_id and topic.frame_id == image.frame_id]
    return found[0] if len(found) == 1 else None


def _choose_depth(
    topics: Sequence[Topic], image: Topic, wish: str | None, bag: str
) -> tuple[Topic | None, tuple[str, ...]]:
    if wish is not None:
        named = [
            topic
            for topic in topics
            if topic.type_name == Role.DEPTH.type_name or topic.is_compressed_depth
        ]
        return _named(named, wish, 'depth_topic (--depth-topic)', bag), ()
    found = [topic for topic in topics if topic.is_depth and topic != image]
    # One camera often records several transports; raw depth needs no decoding.
    found.sort(key=lambda topic: (topic.is_raw_depth, topic.name.endswith(_COMPRESSED_DEPTH)))
    depths = list({topic.base: topic for topic in found}.values())
    registered = [
        topic for topic in depths if any(word in topic.name for word in _REGISTERED_WORDS)
    ]
    for candidates in (depths, registered):
        if len(candidates) == 1:
            return candidates[0], ()
    if not depths:
        return None, ()
    note = (
        f'{bag}: several depth topics, none published: {_listed(depths)}. '
        'Choose one with depth_topic (--depth-topic).'
    )
    return None, (note,)


def _named(topics: Sequence[Topic], name: str, parameter: str, bag: str) -> Topic:
    full = name if name.startswith('/') else f'/{name}'
    for topic in topics:
        if topic.name == full:
            return topic
    raise SourceError(
        'unknown_topic',
        f'{parameter}: expected a topic of {bag} that fits, got {full!r}. '
        f'Choose one of: {_listed(topics)}.',
    )


def _listed(topics: Sequence[Topic]) -> str:
    described = [
        f'{topic.name} ({topic.type_name}{", " if topic.encoding else ""}{topic.encoding})'
        for topic in sorted(topics, key=lambda topic: topic.name)
    ]
    return ', '.join(described) or 'none'
