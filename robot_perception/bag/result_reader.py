"""Reading of the scenes in a result bag, frame by frame."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_perception import conversions
from robot_perception.bag.recorded_inputs import read_inputs
from robot_perception.core import Image, InputError, Scene, SourceError
from robot_perception.pipeline import InputConfig
from robot_perception.sources import (
    BagTopic,
    BEGIN_NS,
    choose_topics,
    decode,
    inspect_topic,
    is_bag,
    message_store,
    open_bag,
    open_recording,
    read_metadata,
    recorded_store,
    Role,
    TopicWish,
    Typestore,
)
from robot_perception.stream import (
    COMPRESSED_DEPTH,
    ImageReader,
    LABEL_INFO,
    LABEL_INFO_TYPE,
    OUTPUTS,
)

NODE = '/perception'
BACKEND_KEY = 'robot_perception.runtime.'
"""Beginning of keys in the metadata of a result bag; the name of a stage follows."""
_SCENE, _FEATURES = 'scene', 'features'
_GRAY = 128
# Later than every stamp.
_END_NS = 2**63


@dataclass(frozen=True, slots=True, eq=False)
class RecordedScene:
    """One frame of a result bag.

    Attributes:
        scene: the results. Depth is metric or None: relative depth is not recorded.
        has_image: whether `scene.image` is the input image; when the bag lacks it, it is a gray
            image of the same size, stamp and frame.
    """

    scene: Scene
    has_image: bool

    @property
    def stamp_ns(self) -> int:
        """Time of exposure, nanoseconds."""
        return self.scene.image.stamp_ns


def read_results(
    path: Path, node: str = NODE, image_topic: str | None = None
) -> Iterator[RecordedScene]:
    """Yield the scenes of a bag in order of their stamps.

    The topic ``scene`` holds everything but the input image, patch features and, where it has a
    topic of its own, depth. The image is read from the camera's topic, here or in the recording
    that the bag was made of. One message of each topic is in memory at a time.

    Args:
        path: folder of a rosbag2 or a single bag file, complete or truncated.
        node: full name of the node.
        image_topic: topic of the input images; None chooses the only camera.

    Raises:
        SourceError: not a bag, no scenes in it, stamps that decrease, or a message that cannot be
            read. Scenes before it are yielded first.
    """
    _check_is_bag(path)
    with closing(open_bag(path)) as bag:
        topics = {topic.name: topic for topic in bag.topics()}
    metadata = read_metadata(path)
    inputs, wish = read_inputs(path, {} if metadata is None else metadata.custom)
    prefix = f'/{node.strip("/")}/'
    scene_topic = prefix + _SCENE
    _check(topics, prefix, path)
    images_topic = _image_topic(topics, prefix, image_topic, path)
    types = message_store()
    pictures = (
        _images_of_inputs(inputs, wish, prefix, types)
        if images_topic is None
        else _stamped_messages(path, topics[images_topic], types)
    )
    others = (
        _stamped_messages(path, topics.get(prefix + name), types)
        for name in (_FEATURES, COMPRESSED_DEPTH.topic)
    )
    with ExitStack() as stack:
        images, all_features, depths = (
            stack.enter_context(closing(_StampIndex(messages))) for messages in (pictures, *others)
        )
        last_ns = -1
        reader, config = ImageReader(), InputConfig()
        for stamp_ns, message in _stamped_messages(path, topics[scene_topic], types):
            if stamp_ns <= last_ns:
                raise SourceError(
                    'decreasing_stamps',
                    f'{path}: {scene_topic}: expected stamps that increase, got {stamp_ns} after '
                    f'{last_ns} ns. Record one pass, of a camera that stamps its frames.',
                )
            last_ns = stamp_ns
            try:
                message_of_image = images.at(stamp_ns)
                image = None if message_of_image is None else reader.read(message_of_image, config)
                size_hw = (int(message.height), int(message.width))
                has_image = image is not None and image.size_hw == size_hw
                if image is None or not has_image:
                    image = _gray(message, stamp_ns)
                features, depth = all_features.at(stamp_ns), depths.at(stamp_ns)
                scene = conversions.to_scene(
                    message,
                    image,
                    None if features is None else conversions.to_features(features),
                    None if depth is None else conversions.to_depth(depth),
                )
            except InputError as error:
                raise SourceError(
                    error.reason,
                    f'{path}: frame {stamp_ns}: expected a readable result, got: {error} '
                    'Record it again.',
                ) from error
            yield RecordedScene(scene, has_image)


def read_backends(path: Path) -> dict[str, str]:
    """Return the runtimes and precisions that computed a result bag, by stage.

    Empty for a single file, and for a bag that states none.
    """
    metadata = read_metadata(path)
    if metadata is None:
        return {}
    return {
        key.removeprefix(BACKEND_KEY): value
        for key, value in metadata.custom.items()
        if key.startswith(BACKEND_KEY)
    }


def read_class_names(path: Path, node: str = NODE) -> dict[int, str]:
    """Read the detector's classes from ``label_info`` of a bag: index -> name.

    Empty where it was not recorded; at most 254 classes, as the message has room for.
    """
    with closing(open_bag(path)) as bag:
        topics = {topic.name: topic for topic in bag.topics()}
    name = f'/{node.strip("/")}/{LABEL_INFO}'
    if name not in topics or topics[name].type_name != LABEL_INFO_TYPE:
        return {}
    with closing(_stamped_messages(path, topics[name], message_store())) as messages:
        # The last one has the classes that came later as well.
        last = [message for _, message in messages][-1:]
    return conversions.to_class_names(last[0]) if last else {}


def _check_is_bag(path: Path) -> None:
    """Raise SourceError for pictures and videos, which `bag` has to process first."""
    if not path.exists() or is_bag(path):
        return
    try:
        open_recording(path).close()
    except SourceError:
        return
    raise SourceError(
        'no_results',
        f'{path}: expected a bag of results, got pictures or a video. Process them first: '
        f'robot-perception bag {path} -o results; then pass results.',
    )


def _check(topics: dict[str, BagTopic], prefix: str, path: Path) -> None:
    if prefix + _SCENE in topics:
        return
    results = [topic for topic in topics if topic in {prefix + one.topic for one in OUTPUTS}]
    others = sorted(one.removesuffix(f'/{_SCENE}') for one in scene_topics(topics.values()))
    if others:
        remedy = f'The bag holds results of {", ".join(others)}: name that node.'
    elif results:
        remedy = f'Record {prefix}{_SCENE} beside them: it contains the results of the others.'
    else:
        remedy = f'Record {prefix}{_SCENE} while the node runs.'
    raise SourceError(
        'no_results',
        f'{path}: expected results on {prefix}{_SCENE}, got '
        f'{", ".join(sorted(results or topics)) or "no message at all"}. {remedy}',
    )


def scene_topics(topics: Iterable[BagTopic]) -> list[str]:
    """Return the names of the topics that hold scenes."""
    (type_name,) = (one.type_name for one in OUTPUTS if one.topic == _SCENE)
    return [topic.name for topic in topics if topic.type_name == type_name]


def _image_topic(
    topics: dict[str, BagTopic], prefix: str, wish: str | None, path: Path
) -> str | None:
    """Return the topic of the input images, None without one; a missing ``wish`` raises."""
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


def _images_of_inputs(
    inputs: Iterable[tuple[Path, int]], wish: str | None, prefix: str, types: Typestore
) -> Generator[tuple[int, conversions.Message]]:
    """Yield the images of the recordings that a result bag was made of."""
    for path, begin_ns in inputs:
        # Its damage was reported when it was processed.
        with suppress(SourceError):
            with closing(open_recording(path, begin_ns=begin_ns)) as recording:
                topics = {topic.name: topic for topic in recording.topics()}
            name = _image_topic(topics, prefix, wish, path)
            yield from _stamped_messages(path, topics.get(name or ''), types, begin_ns)


def _gray(message: conversions.Message, stamp_ns: int) -> Image:
    height, width = int(message.height), int(message.width)
    if height * width > conversions.MAX_PIXELS:
        raise InputError(
            'too_large',
            f'size: expected at most {conversions.MAX_PIXELS} pixels, got {height} x {width}.',
        )
    _, frame_id = conversions.read_header(message.header)
    return Image(np.full((height, width, 3), _GRAY, np.uint8), stamp_ns, frame_id)


def _stamped_messages(
    path: Path, topic: BagTopic | None, types: Typestore, begin_ns: int = BEGIN_NS
) -> Generator[tuple[int, conversions.Message]]:
    """Yield the messages of a topic, if any, with their stamps in nanoseconds, as recorded.

    Messages are read as the bag defines them, which may be of an earlier version of this package;
    ``types`` serves bags without definitions.
    """
    if topic is None:
        return
    with closing(open_recording(path, begin_ns=begin_ns)) as bag:
        definition = bag.definition(topic.name)
        if definition is not None:
            types = recorded_store(definition.text, topic.type_name) or types
        for message in bag.messages([topic.name]):
            try:
                content = decode(types, message.data, message.type_name)
                stamp_ns, _ = conversions.read_header(content.header)
            except (InputError, SourceError) as error:
                raise SourceError(error.reason, f'{path}: {topic.name}: {error}') from error
            yield stamp_ns, content


class _StampIndex:
    """Finds messages of one topic by increasing stamps; keeps one message in memory."""

    def __init__(self, messages: Generator[tuple[int, conversions.Message]]) -> None:
        self._messages = messages
        self._newest: conversions.Message | None = None
        self._newest_ns = -1

    def at(self, stamp_ns: int) -> conversions.Message | None:
        """Return the message of a stamp, None without one; skips earlier messages."""
        while self._newest_ns < stamp_ns:
            self._newest_ns, self._newest = next(self._messages, (_END_NS, None))
        return self._newest if self._newest_ns == stamp_ns else None

    def close(self) -> None:
        """Close the bag."""
        self._messages.close()
