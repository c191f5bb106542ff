"""One topic of a bag by the stamps in its messages."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from robot_perception import conversions
from robot_perception.conversions import Message
from robot_perception.core import ConversionError, SourceError
from robot_perception.sources import decode, open_bag, Typestore


def stamped(path: Path, topic: str, types: Typestore) -> Generator[tuple[int, Message]]:
    """Read the messages of a topic with their stamps in nanoseconds, in order of recording.

    Raises:
        SourceError: a message cannot be read.

    """
    with closing(open_bag(path)) as bag:
        for message in bag.messages([topic]):
            content: Message = decode(types, message.data, message.type_name, f'{path}: {topic}')
            try:
                stamp_ns, _ = conversions.read_header(content.header)
            except (AttributeError, ConversionError) as error:
                raise SourceError(
                    'broken_message', f'{path}: {topic}: {error} Record it again.'
                ) from error
            yield stamp_ns, content


class StampedReader:
    """Looks up messages of one topic by stamps that increase; holds one message."""

    def __init__(self, path: Path, topic: str | None, types: Typestore) -> None:
        """Begin at the start of the bag; without a topic nothing is ever found."""
        self._messages = None if topic is None else stamped(path, topic, types)
        self._next: tuple[int, Message] | None = None
        self._ended = topic is None

    def at(self, stamp_ns: int) -> Message | None:
        """Give the message of a stamp, None when there is none; earlier ones are passed over."""
        while not self._ended and (self._next is None or self._next[0] < stamp_ns):
            self._advance()
        if self._next is None or self._next[0] != stamp_ns:
            return None
        return self._next[1]

    def close(self) -> None:
        """Close the bag."""
        if self._messages is not None:
            self._messages.close()

    def _advance(self) -> None:
        self._next = None if self._messages is None else next(self._messages, None)
        self._ended = self._next is None
