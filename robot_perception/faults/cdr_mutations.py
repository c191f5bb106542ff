"""Mutations of serialized messages, which any process of the domain can send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import random

from robot_perception.faults.mutation import Mutated, seeded, Verdict

_ENCAPSULATION_BYTES = 4
_LENGTHS = (2**32 - 1, 2**31 - 1, 2**31, 2**30)
_NO_TEXT = (b'\xff\xfe', b'\xc3\x28', b'\xed\xa0\x80', b'\0')

_Change = Callable[[random.Random, bytes], bytes]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _cut_start(rng: random.Random, data: bytes) -> bytes:
    """Cut within the first fields, where most lengths are."""
    return data[: rng.randrange(min(100, len(data)))]


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flipped_start(rng: random.Random, data: bytes) -> bytes:
    return _flipped(rng, data[:100]) + data[100:]


def _length(rng: random.Random, data: bytes) -> bytes:
    """Overwrite a word that may be the length of a text or of a sequence."""
    words = range(_ENCAPSULATION_BYTES, min(400, len(data) - 4), 4)
    lengths = [at for at in words if 0 < int.from_bytes(data[at : at + 4], 'little') <= len(data)]
    at = rng.choice(lengths or words)
    length = int.from_bytes(data[at : at + 4], 'little')
    rest = len(data) - at - 4
    wrong = rng.choice((0, length - 1, length + 1, 2 * length, rest, rest + 1, *_LENGTHS))
    return data[:at] + (wrong % 2**32).to_bytes(4, 'little') + data[at + 4 :]


def _no_text(rng: random.Random, data: bytes) -> bytes:
    """Put bytes that are no UTF-8 into the frame_id, or wherever that would be."""
    return data[:16] + rng.choice(_NO_TEXT) + data[18:]


def _encapsulation(rng: random.Random, data: bytes) -> bytes:
    """State another byte order or encoding."""
    return rng.randbytes(_ENCAPSULATION_BYTES) + data[_ENCAPSULATION_BYTES:]


def _extended(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.choice((1, 4, 1000)))


def _garbage(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.choice((0, 4))] + rng.randbytes(rng.choice((0, 1, 4, 100, 1000)))


MUTATORS: tuple[_Change, ...] = (
    *(_cut, _cut_start, _flipped, _flipped_start, _length, _no_text, _encapsulation, _extended),
    _garbage,
)


def mutated_bytes(
    data: Callable[[int], bytes], count: int, seed: int = 0
) -> Iterator[Mutated[bytes]]:
    """Yield ``count`` serialized messages: all mutators in turn.

    Args:
        data: returns a valid serialized message by its number.
        count: number of messages.
        seed: of the choices.
    """
    rng = seeded(seed)
    for number in range(count):
        change = MUTATORS[number % len(MUTATORS)]
        name = f'{number}-{change.__name__.lstrip("_")}'
        verdict = Verdict.REFUSED if change in {_cut, _cut_start} else Verdict.EITHER
        yield Mutated(name, change(rng, data(number)), verdict)
