"""The classes of a detector that are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from robot_perception.core import ConfigError, Detections
from robot_perception.pipeline.config_stages import DetectorConfig

_LISTED = 10


@dataclass(frozen=True, slots=True)
class ClassFilter:
    """Keeps the detections of some classes.

    Attributes:
        ids: of the classes; None for all.
    """

    ids: frozenset[int] | None

    @classmethod
    def from_config(cls, config: DetectorConfig, names: Sequence[str]) -> ClassFilter:
        """Read ``detector.classes``, upper or lower case.

        Args:
            config: of the detector.
            names: its classes by id.

        Raises:
            ConfigError: the detector has no such class.
        """
        wanted = [name.strip().casefold() for name in config.classes.split(',') if name.strip()]
        if not wanted:
            return cls(None)
        ids = {name.casefold(): index for index, name in enumerate(names)}
        for name in wanted:
            if name not in ids:
                nearest = [names[ids[one]] for one in get_close_matches(name, ids, 1)]
                raise ConfigError(
                    'unknown_class',
                    f"detector.classes: expected names of the detector's {len(names)} classes, "
                    f'got {name!r}. {f"Nearest: {nearest[0]}. " if nearest else ""}'
                    f'It has {_few(names)}.',
                )
        return cls(frozenset(ids[name] for name in wanted))

    def __call__(self, detections: Detections) -> Detections:
        """Return the detections of these classes, in their order."""
        if self.ids is None:
            return detections
        return detections[np.flatnonzero(np.isin(detections.class_ids, list(self.ids)))]


def _few(names: Sequence[str]) -> str:
    rest = len(names) - _LISTED
    return ', '.join(names[:_LISTED]) + (f' and {rest} others' if rest > 0 else '')
