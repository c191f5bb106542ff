"""One recording to be seen: its camera, and what of it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Literal

from robot_perception.bag.camera_stream import camera_frames, CameraFrame, IMAGES
from robot_perception.bag.job import BagJob
from robot_perception.core import DamagedBagError, SourceError
from robot_perception.sources import (
    BagMessage,
    BagTopic,
    choose_topics,
    Definition,
    inspect_topic,
    open_bag,
    Role,
    Typestore,
)

_NANOSECONDS = 1_000_000_000
_INFO = 'sensor_msgs/msg/CameraInfo'


@dataclass(frozen=True, slots=True)
class Heard:
    """What is worth knowing for all images that follow.

    Attributes:
        kind: what the message tells.
        data: serialized.

    """

    kind: Literal['transforms', 'static transforms', 'depth camera']
    data: bytes


class Recording:
    """A bag with the topics of its camera chosen.

    Attributes:
        path: where it lies.
        image_topic: full name.
        image_count: about how many images will be seen.
        duration_s: from the first to the last message.
        damage: what is known to be lost before reading.
        notes: sentences about choices a user may want to change.

    """

    def __init__(self, path: Path, job: BagJob, types: Typestore) -> None:
        """Open the bag.

        Raises:
            DamagedBagError: it is damaged, and no camera is left in it.
            SourceError: not a bag, or no camera to choose.

        """
        self.path = path
        self._job = job
        self._bag = open_bag(path)
        try:
            topics = self._bag.topics()
            choice = choose_topics([inspect_topic(one) for one in topics], job.wish, str(path))
            wanted = {Role.CAMERA_INFO, *IMAGES}
            with_depth = job.config.depth.source.uses_sensor
            if with_depth:
                wanted |= {Role.DEPTH, Role.TF_STATIC}
            if job.config.frames.needs_tf:
                wanted |= {Role.TF, Role.TF_STATIC}
            self._roles = {name: role for name, role in choice.roles.items() if role in wanted}
            self._check_depth()
        except SourceError as error:
            self.close()
            if self._bag.damage is None:
                raise
            raise DamagedBagError(f'{error} {self._bag.damage}') from error
        self.damage = self._bag.damage
        self.notes = [*choice.notes]
        self.image_topic = next(name for name, role in self._roles.items() if role in IMAGES)
        self._first = {one.name: one for one in topics}
        self._copied = self._copyable(topics, types) if job.copy_input else frozenset()
        self.duration_s = self._bag.duration_ns / _NANOSECONDS
        self.image_count = self._expected()

    def _check_depth(self) -> None:
        source = self._job.config.depth.source
        if source.uses_sensor and Role.DEPTH not in self._roles.values():
            raise SourceError(
                f'{self.path}: depth.source is {source}, and there is no topic of depth that can '
                'be told from the others. Name one with --depth-topic, or use depth.source=model.'
            )

    def _copyable(self, topics: list[BagTopic], types: Typestore) -> frozenset[str]:
        """Choose the topics to be copied: not what is made anew, and only known types."""
        copied = set()
        for one in topics:
            if one.name.startswith(f'{self._job.name}/'):
                self.notes.append(f'{self.path}: {one.name} is made anew and not copied.')
            elif self._bag.definition(one.name) is None and one.type_name not in types.types:
                self.notes.append(
                    f'{self.path}: {one.name} is not copied, for nobody defines {one.type_name}.'
                )
            else:
                copied.add(one.name)
        return frozenset(copied)

    def _expected(self) -> int:
        duration_s = max(self.duration_s, 1e-9)
        part = (min(self._job.end_s, duration_s) - self._job.start_s) / duration_s
        return math.ceil(
            self._first[self.image_topic].message_count * max(part, 0) / self._job.every
        )

    def definition(self, topic: str) -> Definition | None:
        """Give how the messages of a topic are made; None where the bag does not tell."""
        return self._bag.definition(topic)

    def items(self) -> Iterator[CameraFrame | BagMessage | Heard]:
        """Give the images to be seen, what is heard before them, and the messages to be copied.

        What holds at all times comes first, wherever it was recorded.

        Raises:
            SourceError: after the last that could be read, when something could not.

        """
        yield from self._lasting()
        job, begin_ns = self._job, self._bag.begin_ns
        messages = self._bag.messages(
            {*self._roles, *self._copied},
            begin_ns + round(job.start_s * _NANOSECONDS) if job.start_s else None,
            begin_ns + round(job.end_s * _NANOSECONDS) if math.isfinite(job.end_s) else None,
        )
        infos = [name for name, role in self._roles.items() if role is Role.CAMERA_INFO]
        stream = camera_frames(
            messages,
            self._roles,
            first_info=self._first[infos[0]].first if infos else None,
            max_offset_s=job.config.depth.max_offset_s,
            max_wait_s=job.config.depth.max_wait_s,
            tf_wait_s=job.config.frames.tf_wait_s,
        )
        count = 0
        for item in stream:
            if isinstance(item, CameraFrame):
                if count % job.every == 0:
                    yield item
                count += 1
                continue
            if self._roles.get(item.topic) is Role.TF:
                yield Heard('transforms', item.data)
            if item.topic in self._copied:
                yield item

    def _lasting(self) -> Iterator[Heard]:
        static = {name for name, role in self._roles.items() if role is Role.TF_STATIC}
        if static:
            for message in self._bag.messages(static, None, None):
                yield Heard('static transforms', message.data)
        for name, role in self._roles.items():
            info = self._first.get(f'{name.rpartition("/")[0]}/camera_info')
            if role is Role.DEPTH and info and info.type_name == _INFO and info.first is not None:
                yield Heard('depth camera', info.first)

    def close(self) -> None:
        """Close the files."""
        self._bag.close()
