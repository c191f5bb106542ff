"""One recording to process: its camera, and which of its messages are read."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path

from robot_perception.bag.job import BagJob
from robot_perception.core import DamagedBagError, NANOSECONDS_PER_SECOND, SourceError
from robot_perception.sources import (
    BagMessage,
    BagTopic,
    BEGIN_NS,
    choose_topics,
    Definition,
    inspect_topic,
    lasting_samples,
    open_recording,
    Sample,
    Typestore,
)
from robot_perception.stream import CameraTopics, DEPTHS, needed_roles, RecordedSynchronizer


class Recording:
    """A recording with the topics of its camera chosen.

    Attributes:
        path: of the recording.
        topics: full names of the camera's topics.
        image_count: about how many images will be processed.
        duration_s: from the first to the last message.
        notes: sentences about choices that a user may want to change.
        begin_ns: stamp of the first picture of a recording that is no bag.
        end_ns: stamp after all of them.
    """

    def __init__(
        self, path: Path, job: BagJob, types: Typestore, begin_ns: int = BEGIN_NS
    ) -> None:
        """Open the recording.

        Raises:
            DamagedBagError: it is damaged, and no camera is left in it.
            SourceError: not a recording, or no camera to choose.
        """
        self.path = path
        self._job = job
        self._types = types
        self.begin_ns = begin_ns
        self._bag = open_recording(path, begin_ns=begin_ns, hfov_deg=job.hfov_deg)
        self.end_ns = begin_ns + self._bag.duration_ns
        try:
            topics = self._bag.topics()
            choice = choose_topics([inspect_topic(one) for one in topics], job.wish, str(path))
            needed = needed_roles(job.config)
            self._roles = {name: role for name, role in choice.roles.items() if role in needed}
            self._check_depth()
        except SourceError as error:
            self.close()
            if self._bag.damage is None:
                raise
            raise DamagedBagError(error.reason, f'{error} {self._bag.damage}') from error
        self.notes = [*self._bag.notes, *choice.notes]
        self.topics = CameraTopics.from_roles({role: name for name, role in self._roles.items()})
        self._copied = self._copyable(topics, types) if job.copy_input else frozenset()
        self.duration_s = self._bag.duration_ns / NANOSECONDS_PER_SECOND
        counts = {one.name: one.message_count for one in topics}
        self.image_count = self._expected(counts[self.topics.image])

    def _check_depth(self) -> None:
        source = self._job.config.depth.source
        if source.uses_sensor and DEPTHS.isdisjoint(self._roles.values()):
            raise SourceError(
                'no_depth_topic',
                f'{self.path}: depth.source is {source}, which needs one topic of depth, got none '
                'or several. Name one with --depth-topic, or use depth.source=model.',
            )

    def _copyable(self, topics: list[BagTopic], types: Typestore) -> frozenset[str]:
        """Return the topics to copy: those that are not made again, and of known types."""
        copied = set()
        for one in topics:
            if one.name.startswith(f'{self._job.name}/'):
                self.notes.append(f'{self.path}: {one.name} is an output, and not copied.')
            elif self._bag.definition(one.name) is None and one.type_name not in types.types:
                self.notes.append(
                    f'{self.path}: {one.name} is not copied: its type {one.type_name} is unknown.'
                )
            else:
                copied.add(one.name)
        return frozenset(copied)

    def _expected(self, image_count: int) -> int:
        duration_s = max(self.duration_s, 1e-9)
        part = (min(self._job.end_s, duration_s) - self._job.start_s) / duration_s
        return math.ceil(image_count * max(part, 0) / self._job.every)

    def definition(self, topic: str) -> Definition | None:
        """Return the definition of the type of a topic, None when the bag has none."""
        return self._bag.definition(topic)

    def is_copied(self, topic: str) -> bool:
        """Return whether the messages of a topic are written beside the results."""
        return topic in self._copied

    def sample(self, message: BagMessage) -> Sample | None:
        """Return a message of the camera with its role, None for any other message."""
        role = self._roles.get(message.topic)
        return None if role is None else Sample(role, message.stamp_ns, message.data)

    def lasting(self) -> Iterator[Sample]:
        """Yield what holds for the whole recording; see `Source.lasting`."""
        return lasting_samples(self._bag, self._roles)

    def synchronizer(self) -> RecordedSynchronizer:
        """Return a synchronizer of this recording, without messages."""
        roles = frozenset(self._roles.values())
        return RecordedSynchronizer(roles, self._job.config, self.topics, self._types)

    def messages(self) -> Iterator[BagMessage]:
        """Yield the messages of the camera and those to copy, in order of recording.

        Raises:
            SourceError: after the last that could be read, when something could not.
        """
        job, begin_ns = self._job, self._bag.begin_ns
        yield from self._bag.messages(
            {*self._roles, *self._copied},
            begin_ns + round(job.start_s * NANOSECONDS_PER_SECOND) if job.start_s else None,
            begin_ns + round(job.end_s * NANOSECONDS_PER_SECOND)
            if math.isfinite(job.end_s)
            else None,
        )

    def close(self) -> None:
        """Close the files."""
        self._bag.close()
