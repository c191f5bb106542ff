"""Messages that the middleware has lost before they reached a subscription."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# The last reports, made once a second, that are judged together.
_SECONDS = 10
# Fewer, or a smaller share, make no difference to results.
_MIN_LOST, _MIN_SHARE = 5, 0.2


@dataclass(frozen=True, slots=True)
class InputLosses:
    """Messages of one topic that were lost.

    Attributes:
        topic: full name.
        lost: number since the node subscribed.
        problem: what to do if a considerable share was lost lately, else empty.
    """

    topic: str
    lost: int
    problem: str = ''


class LossMeter:
    """Counts what arrives and what is lost, and judges the last ten seconds."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.received = 0
        self.lost = 0
        self._before: deque[tuple[int, int]] = deque([(0, 0)], maxlen=_SECONDS)

    def recent(self) -> tuple[int, int] | None:
        """Return how many of how many messages were lost lately; call once a second.

        Returns:
            None unless that makes a difference.
        """
        received, lost = self._before[0]
        recent_lost = self.lost - lost
        total = recent_lost + self.received - received
        self._before.append((self.received, self.lost))
        if recent_lost < _MIN_LOST or recent_lost < _MIN_SHARE * total:
            return None
        return recent_lost, total
