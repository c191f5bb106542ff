"""Pictures and videos, read as if they were recorded in a bag."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from types import MappingProxyType

from robot_perception.core import NANOSECONDS_PER_SECOND, SourceError
from robot_perception.sources.bag_file import BagFile, BagTopic, is_bag, open_bag
from robot_perception.sources.opener import is_webcam, open_source
from robot_perception.sources.sample import Role, Source
from robot_perception.sources.storage import BagMessage, Definition

# Stamp of the first picture, the same in every run; 0 means no stamp.
BEGIN_NS = NANOSECONDS_PER_SECOND
_TOPICS = MappingProxyType(
    {
        Role.IMAGE: '/camera/image_raw',
        Role.CAMERA_INFO: '/camera/camera_info',
        Role.DEPTH: '/camera/depth/image_raw',
    }
)
# Of a video that does not state its length.
_LONGEST_NS = 3600 * NANOSECONDS_PER_SECOND


class SourceBag:
    """A picture, folder of pictures or video with the attributes and methods of `BagFile`."""

    damage = None

    def __init__(self, source: Source, begin_ns: int) -> None:
        """Take an opened source, whose first picture has the stamp ``begin_ns``."""
        self._source = source
        self.notes = source.notes
        self.begin_ns = begin_ns
        self.duration_ns = source.duration_ns or _LONGEST_NS
        self._count = len(source.names) or (source.sample_count or 0) // 2

    def topics(self) -> list[BagTopic]:
        """Return the topics of the first frames, those with pictures that can be read."""
        found: dict[Role, BagTopic] = {}
        error: SourceError | None = None
        try:
            for sample in self._source:
                if sample.role not in found:
                    topic = (_TOPICS[sample.role], sample.type_name, self._count, sample.cdr)
                    found[sample.role] = BagTopic(*topic)
                if len(found) == len(self._source.roles):
                    break
        except SourceError as damaged:
            error = damaged
        if error is not None and not found:
            raise error
        return list(found.values())

    def definition(self, _: str) -> Definition | None:
        """Return None: the types are those of ROS."""
        return None

    def messages(
        self, topics: Collection[str], begin_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield the messages of some topics, as `BagFile.messages` does.

        Raises:
            SourceError: after the last message that could be read, when something could not.
        """
        for sample in self._source:
            if end_ns is not None and sample.stamp_ns >= end_ns:
                return
            topic = _TOPICS[sample.role]
            if topic in topics and (begin_ns is None or sample.stamp_ns >= begin_ns):
                yield BagMessage(topic, sample.type_name, sample.stamp_ns, sample.cdr)

    def close(self) -> None:
        """Release the files."""
        self._source.close()


def open_recording(
    path: Path, *, begin_ns: int = BEGIN_NS, hfov_deg: float | None = None
) -> BagFile | SourceBag:
    """Open a bag, or a picture, a folder of pictures or a video.

    Args:
        path: of the recording.
        begin_ns: stamp of the first picture, where pictures have none of their own.
        hfov_deg: as in `open_source`.

    Raises:
        SourceError: nothing there, not a recording, or a live camera, which cannot be read again.
    """
    if path.exists() and is_bag(path):
        return open_bag(path)
    if is_webcam(str(path)) and not (path.is_file() or path.is_dir()):
        raise SourceError(
            'live_camera',
            f'{path}: expected a recording, which an interrupted run can read again, got a '
            f'webcam. Take its pictures first: robot-perception export {path} --seconds 10 '
            '--only images --preset stub -o pictures; then pass pictures/images.',
        )
    source = open_source(str(path), hfov_deg=hfov_deg, start_ns=begin_ns)
    return SourceBag(source, begin_ns)
