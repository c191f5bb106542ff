"""A rosbag2 recording as a source. Messages pass through byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from robot_perception.core import SourceError
from robot_perception.sources.bag_file import BagFile, BagTopic, open_bag
from robot_perception.sources.bag_topics import choose_topics, Topic, TopicWish
from robot_perception.sources.messages import standard_types
from robot_perception.sources.sample import IMAGE_TYPES, Role, Sample, Source
from robot_perception.sources.typestore import decode

if TYPE_CHECKING:
    from robot_perception.sources.source_bag import SourceBag


class BagSource(Source):
    """The camera of a bag: pictures, calibration, depth and transforms."""

    def __init__(self, path: Path, wish: TopicWish | None = None) -> None:
        """Open a bag and choose its topics.

        A file that was cut short is read up to the cut.

        Args:
            path: the folder of a bag, or a single .mcap or .db3 file.
            wish: topics to use, for a bag with several cameras.

        Raises:
            SourceError: not a bag, nothing readable in it, or no camera to choose.
        """
        self._bag = open_bag(path)
        try:
            topics = self._bag.topics()
            inspected = [inspect_topic(topic) for topic in topics]
            choice = choose_topics(inspected, wish or TopicWish(), path.name)
        except SourceError as error:
            self.close()
            causes = [*filter(None, [self._bag.damage]), *self._bag.notes]
            raise SourceError(error.reason, ' '.join(map(str, [error, *causes]))) from error
        self._chosen = choice.roles
        listed = ', '.join(f'{topic} as {role.value}' for topic, role in choice.roles.items())
        self.description = f'bag {path.name}: {listed}'
        self.roles = frozenset(choice.roles.values())
        self.notes = self._bag.notes + choice.notes
        self.topics = {role: name for name, role in choice.roles.items()}
        self.sample_count = sum(
            topic.message_count for topic in topics if topic.name in choice.roles
        )
        self.duration_ns = self._bag.duration_ns

    def __iter__(self) -> Iterator[Sample]:
        """Yield the chosen messages in order of recording."""
        for message in self._bag.messages(self._chosen.keys()):
            yield Sample(self._chosen[message.topic], message.stamp_ns, message.data)

    def lasting(self) -> Iterator[Sample]:
        """Yield the static transforms, and the first message of each calibration."""
        return lasting_samples(self._bag, self._chosen)

    def close(self) -> None:
        """Close the files."""
        self._bag.close()


def lasting_samples(bag: BagFile | SourceBag, roles: Mapping[str, Role]) -> Iterator[Sample]:
    """Yield what holds for a whole bag: static transforms and the first calibrations.

    Of the bag's topics those in ``roles`` are read.
    """
    static = [topic for topic, role in roles.items() if role is Role.TF_STATIC]
    if static:
        # Where reading ends early, the pass over all messages reports it.
        with suppress(SourceError):
            for message in bag.messages(static):
                yield Sample(Role.TF_STATIC, message.stamp_ns, message.data)
    for topic in bag.topics():
        role = roles.get(topic.name)
        if role in {Role.CAMERA_INFO, Role.DEPTH_CAMERA_INFO}:
            yield Sample(role, bag.begin_ns, topic.first)


def inspect_topic(topic: BagTopic) -> Topic:
    """Read encoding and frame of the first image or calibration of a topic.

    Raises:
        SourceError: the image cannot be read.
    """
    is_info = topic.type_name == Role.CAMERA_INFO.type_name
    if topic.type_name not in IMAGE_TYPES and not is_info:
        return Topic(topic.name, topic.type_name)
    try:
        message = decode(standard_types(), topic.first, topic.type_name, topic.name)
    except SourceError:
        if is_info:
            return Topic(topic.name, topic.type_name)
        raise
    encoding = ''
    if not is_info:
        is_raw = topic.type_name == Role.IMAGE.type_name
        encoding = message.encoding if is_raw else message.format
    frame_id = message.header.frame_id.removeprefix('/')
    return Topic(topic.name, topic.type_name, encoding, frame_id)
