"""Classes of a whole image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import Float32Array
from robot_perception.core.errors import InputError
from robot_perception.core.value import ArrayValue


@dataclass(frozen=True, slots=True, eq=False)
class SceneClasses(ArrayValue):
    """Scores of the classes of a whole image, best first.

    Attributes:
        model: identifier of the network.
        names: (N,) names of the classes.
        scores: (N,) float32 in [0, 1], in descending order. Their sum is 1 if the classes exclude
            each other (softmax), and any if each was judged by itself (sigmoid).
    """

    model: str
    names: tuple[str, ...]
    scores: Float32Array

    def __post_init__(self) -> None:
        object.__setattr__(self, 'names', tuple(self.names))
        remedy = 'Pass one score for each name.'
        scores = self._check_array('scores', (len(self.names),), np.float32, remedy)
        if not np.all((scores >= 0) & (scores <= 1)):
            raise InputError(
                'out_of_range', 'scores: expected values in [0, 1], got values outside.'
            )
        if np.any(np.diff(scores) > 0):
            raise InputError(
                'out_of_order',
                'scores: expected descending values, got others. '
                'Sort names and scores, for example with SceneClasses.sorted.',
            )

    @classmethod
    def sorted(cls, model: str, names: tuple[str, ...], scores: Float32Array) -> SceneClasses:
        """Return names and scores in descending order of score; equal ones keep their order."""
        order = np.argsort(-scores, kind='stable')
        return cls(model, tuple(names[index] for index in order), scores[order])

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return one line with network and best class.

        >>> SceneClasses('m', ('kitchen', 'office'), np.array([0.75, 0.25], np.float32))
        SceneClasses('m', kitchen 0.75, of 2)
        """
        best = f'{self.names[0]} {self.scores[0]:.2f}, of ' if len(self) else ''
        return f'SceneClasses({self.model!r}, {best}{len(self)})'
