"""Training of the demo models on rendered scenes.

Needs torch, and SciPy for matching boxes; the rest of the demo world needs neither.
"""

from robot_perception.world.training.dataset import Dataset, render_dataset
from robot_perception.world.training.run import RECIPES, train_demo_model
from robot_perception.world.training.trainer import Progress

__all__ = ['RECIPES', 'Dataset', 'Progress', 'render_dataset', 'train_demo_model']
