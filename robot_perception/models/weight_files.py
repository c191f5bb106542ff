"""Files of weights in the folder of a checkpoint."""

from __future__ import annotations

from pathlib import Path
import re

from robot_perception.core import WeightsInvalidError, WeightsMissingError

WEIGHTS = 'model.safetensors'
SHARD = re.compile(r'model-(\d{5})-of-(\d{5})\.safetensors')
_PICKLED = ('*.bin', '*.pt', '*.pth', '*.ckpt')


def find_weights(folder: Path, where: str) -> tuple[Path, ...]:
    """Return one file of safetensors, or all its shards in order.

    Args:
        folder: of a checkpoint.
        where: begins the message of an error.

    Raises:
        WeightsMissingError: there are none.
        WeightsInvalidError: shards are missing, or the weights are pickled.
    """
    single = folder / WEIGHTS
    if single.is_file():
        return (single,)
    shards = sorted(path for path in folder.iterdir() if SHARD.fullmatch(path.name))
    if shards:
        expected = int(SHARD.fullmatch(shards[0].name)[2])  # type: ignore[index] # matched above
        if len(shards) != expected:
            raise WeightsInvalidError(
                'missing_file',
                f'{where}: expected {expected} shards of weights, found {len(shards)}. '
                'Copy or pull the missing ones.',
            )
        return tuple(shards)
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        raise WeightsInvalidError(
            'pickled',
            f'{where}: expected model.safetensors, found only pickled weights ({pickled[0]}), '
            'which can run code when read and are never opened. Convert them to safetensors, or '
            'use a revision that has them.',
        )
    raise WeightsMissingError(
        'missing_file',
        f'{where}: expected model.safetensors, found no weights. Copy or pull them.',
    )
