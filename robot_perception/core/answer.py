"""What a network answers to a question about an image."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_perception.core.detections import Detections


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in words, with the objects that it locates.

    Attributes:
        text: the answer.
        detections: objects that a network which grounds its answer locates, in pixels of the
            whole image; their score is 1, since these networks state none. Empty for others.
        duration_s: time from the question to the answer, seconds; 0 if it was not measured.
        note: what the reader has to know about how it came about; empty for nothing.
    """

    text: str
    detections: Detections = field(default_factory=Detections.empty)
    duration_s: float = 0.0
    note: str = ''
