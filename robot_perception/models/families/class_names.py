"""Class names of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from robot_perception.core import WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint


def read_class_names(labels: Mapping[int, str], checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the names by class id in ``id2label`` of a network's config.

    Raises:
        WeightsInvalidError: the classes are not numbered from 0 on.
    """
    missing = set(range(len(labels))) - set(labels)
    if missing:
        raise WeightsInvalidError(
            'invalid_config',
            f'{checkpoint.where}: expected id2label of config.json to '
            f'number the classes from 0 to {len(labels) - 1}, found none for {min(missing)}. '
            'Number them as the network was trained.',
        )
    return tuple(str(labels[index]) for index in range(len(labels)))
