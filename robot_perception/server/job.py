"""What a worker process computes for a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from robot_perception.core import CameraModel, Stage, StrEnum
from robot_perception.pipeline import Value


class Format(StrEnum):
    """Form of an answer."""

    JSON = 'json'
    ZIP = 'zip'
    PNG = 'png'
    PAGE = 'page'
    FEATURES = 'features'

    @property
    def media_type(self) -> str:
        """Its media type."""
        if self is Format.ZIP:
            return 'application/zip'
        return 'image/png' if self is Format.PNG else 'application/json'


@dataclass(frozen=True, slots=True)
class Job:
    """One image and what to compute of it.

    Attributes:
        image: an image file.
        format: form of the answer.
        stages: to be run, those that the service has.
        values: parameters that differ from those of the service, by dotted name.
        hfov_deg: horizontal field of view in degrees, None for that of the file or 60.
        camera: intrinsics for the size of the image, whatever size is stated; None if unknown.
    """

    image: bytes
    format: Format = Format.JSON
    stages: frozenset[Stage] = frozenset(Stage)
    values: Mapping[str, Value] = field(default_factory=dict)
    hfov_deg: float | None = None
    camera: CameraModel | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a job.

    Attributes:
        body: of the answer.
        timing_s: seconds that each stage took.
        notes: sentences about networks that were moved to the CPU or to another runtime.
    """

    body: bytes
    timing_s: Mapping[str, float]
    notes: tuple[str, ...] = ()
