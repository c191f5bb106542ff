"""One topic of a bag by the stamps in its messages."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from robot_perception import conversions
from robot_perception.conversions import Message
from robot_perception.core import SourceError
from robot_perception.sources import open_bag, Typestore


def stamped(path: Path, topic: str, types: Typestore) -> Generator[tuple[int, Message]]:
    """Read the messages of a topic with their stamps in nanoseconds, in order of recording.

    Raises:
        SourceError: a message cannot be read.

    """
    with closing(open_bag(path)) as bag:
        for message in bag.messages([topic]):
            try:
                content: Message = types.deserialize_cdr(message.data, message.type_name)
                stamp_ns, _ = conversions.read_header(content.header)
            except Exception as error:
                # A deserializer fed with broken bytes raises anything.
                raise SourceError(
                    f'{path}: {topic}: expected {message.type_name}, got a message that cannot '
                    f'be read ({error}). Record it again with this version of the package.'
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
