"""Whether the architecture of a checkpoint is supported, and the nearest one that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import difflib
from typing import Any

from robot_perception.core import ModelError
from robot_perception.models.families import FAMILIES

# Architectures that users ask for, and the supported one for the same purpose.
_SUBSTITUTES: Mapping[str, str] = {
    'dinov3_convnext': 'convnext',
    'align': 'clip',
    'altclip': 'clip',
    'chinese_clip': 'clip',
    'metaclip_2': 'clip',
    'efficientnet': 'mobilenet_v2',
    'mobilevit': 'mobilenet_v2',
    'vit_msn': 'vit',
    'table-transformer': 'detr',
    'sam_hq': 'sam',
    'sam3': 'sam3_video',
    'eomt_dinov3': 'eomt',
    'videomt': 'eomt',
}


def check_architecture(config: Mapping[str, Any], task: str | None, where: str) -> str:
    """Return the stage that a config.json is for: ``task``, or any that it fits if that is None.

    Raises:
        ModelError: the architecture is for another stage, or not supported.
    """
    family = config.get('model_type')
    fitting = [stage for stage, families in FAMILIES.items() if family in families]
    if task in fitting or (task is None and fitting):
        return task or fitting[0]
    supported = [name for stage in FAMILIES for name in FAMILIES[stage] if task in (None, stage)]
    if fitting:
        raise ModelError(
            'wrong_task',
            f'{where}: expected model_type to be one of {", ".join(supported)}; got {family!r}, '
            f'which is for {fitting[0]}. Give a checkpoint for this task.',
        )
    nearest = _nearest_architecture(str(family), supported)
    raise ModelError(
        'unsupported_architecture',
        f'{where}: expected model_type to be one of {", ".join(supported)}; got {family!r}, '
        f'which is not supported. Nearest: {nearest}. Give a checkpoint of that architecture.',
    )


def _nearest_architecture(family: str, supported: Sequence[str]) -> str:
    """Return the supported architecture that serves the purpose of another one best."""
    meant = _SUBSTITUTES.get(family, '')
    if meant in supported:
        return meant
    return (difflib.get_close_matches(family, supported, 1) or supported[:1])[0]
