"""The folders of the checkpoints that a training writes, known without torch."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path

from robot_perception.core import OutputError

CHECKPOINTS: Mapping[str, tuple[str, ...]] = {
    'depth': ('depth_anything', 'dinov2'),
    'detector': ('rt_detr_v2',),
    'segmenter': ('sam2',),
    'words': ('mm_grounding_dino',),
}


def check_new_checkpoints(task: str, folder: Path) -> None:
    """Raise OutputError, reason ``'exists'``, if a folder has a checkpoint of a task."""
    for name in CHECKPOINTS[task]:
        if os.path.lexists(folder / name):
            raise OutputError(
                'exists',
                f'{folder / name}: expected no checkpoint yet, found one. '
                'Choose another folder, or remove it.',
            )
