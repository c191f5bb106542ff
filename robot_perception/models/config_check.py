"""Checks of config.json before a network is built from it.

transformers follows a config without question: it fetches code, backbones and kernels that the
config names, and allocates what its numbers ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TYPE_CHECKING

from robot_perception.core import WeightsInvalidError

if TYPE_CHECKING:
    import torch

_MAX_NESTING = 32
# Implementations that are part of torch; transformers looks for others on the internet.
_LOCAL_IMPLEMENTATIONS = ('eager', 'sdpa', None)
# No network has a side this many times that of its largest weight.
_LARGEST_RATIO, _SMALLEST_LIMIT = 16, 65536
_MAX_LIST = 4096


def check_content(config: Mapping[str, Any], where: str) -> None:
    """Refuse code, quantization and nesting that cannot be used, at any depth of a JSON object.

    Raises:
        WeightsInvalidError: it has one of them.
    """
    for key, value in _entries(config, where):
        if key == 'auto_map':
            raise WeightsInvalidError(
                'remote_code',
                f'{where}: requires code of its own (auto_map), which is never run. '
                'Use a checkpoint of an architecture that is part of transformers.',
            )
        if key == 'quantization_config' and value is not None:
            raise WeightsInvalidError(
                'quantized',
                f'{where}: is quantized, which is not supported. Use the original checkpoint.',
            )


def check_is_local(config: Mapping[str, Any], where: str) -> None:
    """Refuse a config.json for which transformers would use the internet.

    Raises:
        WeightsInvalidError: it names a backbone, or an implementation that is not part of torch.
    """
    for key, value in _entries(config, where):
        if key in {'backbone', 'use_pretrained_backbone'} and value:
            raise WeightsInvalidError(
                'network_access',
                f'{where}: config.json asks for another checkpoint ({key}: {value!r}), which '
                'would be downloaded. Use a checkpoint with backbone_config, whose '
                'model.safetensors holds all weights.',
            )
        names = value.values() if isinstance(value, Mapping) else (value,)
        if 'implementation' in key and not all(
            isinstance(name, bool) or name in _LOCAL_IMPLEMENTATIONS for name in names
        ):
            raise WeightsInvalidError(
                'network_access',
                f'{where}: config.json asks for code from elsewhere ({key}: {value!r}). '
                f'Remove {key} from it, or set it to sdpa.',
            )


def check_numbers(
    config: Mapping[str, Any], weights: Mapping[str, torch.Tensor], where: str
) -> None:
    """Refuse numbers of config.json that are absurd for the weights, before memory is allocated.

    Raises:
        WeightsInvalidError: more layers than weights, or a size far beyond that of any weight.
    """
    largest = max((side for value in weights.values() for side in value.shape), default=1)
    limit = max(_SMALLEST_LIMIT, _LARGEST_RATIO * largest)
    for key, value in _entries(config, where):
        if isinstance(value, list) and len(value) > _MAX_LIST:
            raise WeightsInvalidError(
                'out_of_range',
                f'{where}: expected lists of at most {_MAX_LIST} items in config.json, got '
                f'{len(value)} in {key}. Copy or pull it again.',
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        counts_layers = key.endswith(('layers', 'blocks', 'depths', 'depth'))
        allowed = len(weights) if counts_layers else limit
        if abs(value) > allowed:
            raise WeightsInvalidError(
                'out_of_range',
                f'{where}: expected numbers in config.json that fit the weights, got '
                f'{key}: {value:g}, where at most {allowed} is possible. '
                'The two files do not belong together; copy or pull both.',
            )


def _entries(config: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of a JSON object at any depth; items of a list have its key."""
    level = list(config.items())
    for _ in range(_MAX_NESTING):
        yield from level
        level = [
            entry
            for key, value in level
            for entry in (
                value.items()
                if isinstance(value, Mapping)
                else ((key, item) for item in value)
                if isinstance(value, list)
                else ()
            )
        ]
        if not level:
            return
    raise WeightsInvalidError(
        'damaged',
        f'{where}: expected at most {_MAX_NESTING} levels of nesting in a JSON file, got more. '
        'Copy or pull it again.',
    )
