"""Training of the demo models on rendered scenes.

The rest of the world does not need torch; this does, and SciPy for the matching of boxes.
"""

from robot_perception.world.training.dataset import Dataset, render_dataset
from robot_perception.world.training.run import RECIPES, train_demo_model
from robot_perception.world.training.trainer import Progress

__all__ = ['RECIPES', 'Dataset', 'Progress', 'render_dataset', 'train_demo_model']
