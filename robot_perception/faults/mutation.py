"""What mutators return: a message, and what a reader of it must do."""

from __future__ import annotations

from dataclasses import dataclass
import enum
import random
from typing import Generic, TypeVar

_Subject = TypeVar('_Subject')


class Verdict(enum.Enum):
    """What the definitions of ROS demand for a message, whatever this package does with it."""

    LEGAL = 'legal'
    REFUSED = 'must be refused'
    EITHER = 'legal or refused'


@dataclass(frozen=True, slots=True)
class Mutated(Generic[_Subject]):
    """One message after a mutation.

    Attributes:
        name: number and mutation.
        subject: the message.
        verdict: what a reader must do with it.
    """

    name: str
    subject: _Subject
    verdict: Verdict


def seeded(seed: int) -> random.Random:
    """Return a generator of reproducible numbers."""
    return random.Random(seed)  # noqa: S311 - reproducible
