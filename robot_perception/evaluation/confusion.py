"""Confusion of classes: what true objects were detected as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from robot_perception.core import BoolArray, Detections, iou_xyxy
from robot_perception.evaluation.matching import best_first, match

# IoU of boxes from which a prediction is on an object.
_BOX_IOU = 0.5
# True class and predicted class -> count; empty for no object, and for no prediction.
Confusions = Mapping[tuple[str, str], int]


def frame_confusions(
    predictions: Detections, truth: Detections, counted: BoolArray
) -> Counter[tuple[str, str]]:
    """Count the pairs of true and predicted classes of one frame.

    True positives are those of `match`. Of what is left, predictions of falling score take the
    object of any class that they overlap most, at an IoU of at least 0.5. An object without
    prediction counts as (class, ''), a prediction without object as ('', class); predictions on
    objects that are ignored do not count.
    """
    matches = match(predictions, truth, counted, [_BOX_IOU])
    true_positives = matches.true_positives[0]
    partner = np.where(true_positives, matches.truth[0], -1)
    free = counted.copy()
    free[partner[true_positives]] = False
    overlaps = iou_xyxy(predictions.boxes_xyxy, truth.boxes_xyxy)
    pairs: Counter[tuple[str, str]] = Counter()
    for index in best_first(predictions):
        if matches.ignored[0, index]:
            continue
        if not true_positives[index] and free.any():
            best = int(np.where(free, overlaps[index], -1.0).argmax())
            if overlaps[index, best] >= _BOX_IOU:
                partner[index] = best
                free[best] = False
        name = truth.class_names[partner[index]] if partner[index] >= 0 else ''
        pairs[name, predictions.class_names[index]] += 1
    pairs.update((truth.class_names[index], '') for index in np.flatnonzero(free))
    return pairs


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Counts of objects by true and by predicted class, above the threshold in use.

    Attributes:
        class_names: K classes, sorted.
        counts: K + 1 rows of K + 1 counts: true classes, then predictions on no object; in each
            row predicted classes, then objects that were missed.
    """

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, frames: Iterable[Confusions]) -> ConfusionMatrix:
        """Add the frames."""
        total: Counter[tuple[str, str]] = Counter()
        for one in frames:
            total.update(one)
        names = tuple(sorted({name for pair in total for name in pair} - {''}))
        rows = (*names, '')
        return cls(names, tuple(tuple(total[row, column] for column in rows) for row in rows))

    def of_most_errors(self, most: int) -> ConfusionMatrix:
        """Return the matrix of the classes with most errors; the others are added up as one."""
        counts = np.array(self.counts)
        if len(self.class_names) <= most:
            return self
        errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
        kept = sorted(np.argsort(-errors[:-1], kind='stable')[: most - 1].tolist())
        others = sorted(set(range(len(self.class_names))) - set(kept))
        groups = [*([one] for one in kept), others, [len(counts) - 1]]
        names = (*(self.class_names[one] for one in kept), f'{len(others)} other classes')
        return ConfusionMatrix(
            names,
            tuple(
                tuple(int(counts[np.ix_(row, column)].sum()) for column in groups)
                for row in groups
            ),
        )
