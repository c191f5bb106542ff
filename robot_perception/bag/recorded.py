"""Scenes back out of a bag of results, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_perception import conversions
from robot_perception.bag.stamped import stamped, StampedReader
from robot_perception.core import Image, InputError, Scene, SourceError
from robot_perception.pipeline import OUTPUTS
from robot_perception.sources import (
    BagTopic,
    choose_topics,
    inspect_topic,
    message_store,
    open_bag,
    Role,
    TopicWish,
)

NODE = '/perception'
_SCENE, _FEATURES = 'scene', 'features'
_GREY = 128


@dataclass(frozen=True, slots=True, eq=False)
class RecordedScene:
    """One frame of a bag of results.

    Attributes:
        scene: what the node said. Depth is metric or None: relative depth is not recorded.
        has_image: whether `scene.image` is the picture that came in; without it in the bag it is
            even grey of the same size, stamp and frame.

    """

    scene: Scene
    has_image: bool

    @property
    def stamp_ns(self) -> int:
        """Time of exposure, nanoseconds."""
        return self.scene.image.stamp_ns


def recorded_scenes(
    path: Path, node: str = NODE, image_topic: str | None = None
) -> Iterator[RecordedScene]:
    """Read the scenes of a bag in order of their stamps, one at a time.

    The topic ``scene`` of the node carries all but the picture and the patch features; these are
    taken from the camera's topic and from ``features`` where they were recorded. Of every topic
    one message is held at a time.

    Args:
        path: folder of a rosbag2 or a single bag file, whole or cut short.
        node: full name of the node.
        image_topic: the picture that came in; None finds the one camera beside the node's topics.

    Raises:
        SourceError: not a bag, no scenes in it, stamps that go back, or a message that cannot be
            read. What could be read before is given first.

    """
    with closing(open_bag(path)) as bag:
        topics = {topic.name: topic for topic in bag.topics()}
    prefix = f'/{node.strip("/")}/'
    scene_topic, features_topic = prefix + _SCENE, prefix + _FEATURES
    _check(topics, prefix, path)
    images = _image_topic(topics, prefix, image_topic, path)
    types = message_store()
    patches = features_topic if features_topic in topics else None
    with (
        closing(StampedReader(path, images, types)) as pictures,
        closing(StampedReader(path, patches, types)) as rows,
    ):
        last_ns = -1
        for stamp_ns, message in stamped(path, scene_topic, types):
            if stamp_ns <= last_ns:
                raise SourceError(
                    f'{path}: {scene_topic}: expected stamps that increase, got {stamp_ns} after '
                    f'{last_ns} ns. Record one pass, of a camera that stamps its frames.'
                )
            last_ns = stamp_ns
            try:
                picture = pictures.at(stamp_ns)
                image = None if picture is None else _picture(picture)
                size_hw = (int(message.height), int(message.width))
                has_image = image is not None and image.size_hw == size_hw
                if image is None or not has_image:
                    image = _grey(message, stamp_ns)
                found = rows.at(stamp_ns)
                features = None if found is None else conversions.to_features(found)
                scene = conversions.to_scene(message, image, features)
            except InputError as error:
                raise SourceError(
                    f'{path}: frame {stamp_ns}: expected a readable result, got: {error} '
                    'Record it again.'
                ) from error
            yield RecordedScene(scene, has_image)


def _check(topics: dict[str, BagTopic], prefix: str, path: Path) -> None:
    if prefix + _SCENE in topics:
        return
    results = [topic for topic in topics if topic in {prefix + one.topic for one in OUTPUTS}]
    others = [topic.removesuffix(f'/{_SCENE}') for topic in _scene_topics(topics)]
    if others:
        remedy = f'Results there are of {", ".join(others)}: name that node.'
    elif results:
        remedy = f'Record {prefix}{_SCENE} beside them: it holds what the others hold.'
    else:
        remedy = f'Record {prefix}{_SCENE} while the node runs.'
    raise SourceError(
        f'{path}: expected results on {prefix}{_SCENE}, got '
        f'{", ".join(sorted(results or topics)) or "no message at all"}. {remedy}'
    )


def _scene_topics(topics: dict[str, BagTopic]) -> list[str]:
    (type_name,) = (one.type_name for one in OUTPUTS if one.topic == _SCENE)
    return sorted(name for name, topic in topics.items() if topic.type_name == type_name)


def _image_topic(
    topics: dict[str, BagTopic], prefix: str, wish: str | None, path: Path
) -> str | None:
    """Find the picture that came in; a wish that is not there raises."""
    cameras = [
        inspect_topic(topic) for name, topic in topics.items() if not name.startswith(prefix)
    ]
    try:
        choice = choose_topics(cameras, TopicWish(image=wish), path.name)
    except SourceError:
        if wish is not None:
            raise
        return None
    carriers = (Role.IMAGE, Role.COMPRESSED_IMAGE)
    return next(name for name, role in choice.roles.items() if role in carriers)


def _picture(message: conversions.Message) -> Image:
    if hasattr(message, 'encoding'):
        return conversions.to_image(message)
    return conversions.compressed_to_image(message)


def _grey(message: conversions.Message, stamp_ns: int) -> Image:
    height, width = int(message.height), int(message.width)
    if height * width > conversions.MAX_PIXELS:
        raise InputError(
            f'size: expected at most {conversions.MAX_PIXELS} pixels, got {height} x {width}.'
        )
    _, frame_id = conversions.read_header(message.header)
    return Image(np.full((height, width, 3), _GREY, np.uint8), stamp_ns, frame_id)
