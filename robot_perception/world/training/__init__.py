"""Training of the demo models on rendered scenes.

Needs torch, and SciPy for matching boxes; rendering the scenes needs neither, and imports neither.
"""

from typing import TYPE_CHECKING

from robot_perception.core import lazy_attributes
from robot_perception.world.training.checkpoint_folders import (
    check_new_checkpoints,
    CHECKPOINTS,
)
from robot_perception.world.training.dataset import Dataset, render_dataset

if TYPE_CHECKING:
    from robot_perception.world.training.run import RECIPES, train_demo_model
    from robot_perception.world.training.trainer import Progress

__all__ = [
    'CHECKPOINTS',
    'RECIPES',
    'Dataset',
    'Progress',
    'check_new_checkpoints',
    'render_dataset',
    'train_demo_model',
]

__getattr__ = lazy_attributes(
    __name__, {'Progress': 'trainer', 'RECIPES': 'run', 'train_demo_model': 'run'}
)
