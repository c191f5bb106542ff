"""Absent classes to ask for in images, in the three samplings of POPE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RANDOM, POPULAR, ADVERSARIAL = 'random', 'popular', 'adversarial'


class ImageClasses(NamedTuple):
    """Classes of an image.

    Attributes:
        present: those that are asked for as present.
        visible: those of which anything is visible, which are not asked for as absent.
    """

    present: frozenset[str]
    visible: frozenset[str]


def choose_absent(
    images: Sequence[ImageClasses], names: Sequence[str], rng: np.random.Generator
) -> list[dict[str, tuple[str, ...]]]:
    """Choose absent classes of each image, in each sampling as many as are present.

    They are drawn at random; are those that are present in most images; or those that are most
    often present together with the present ones, summed over these. Among equals the order of
    ``names`` decides. (Li et al., Evaluating Object Hallucination in Large Vision-Language
    Models, EMNLP 2023.)

    Args:
        images: all of the data set, which the frequencies are of.
        names: of all classes.
        rng: for the random ones.

    Returns:
        For each image: absent class -> the samplings that it is of, in the order of ``names``.
    """
    shape = (len(images), len(names))
    present = np.array([[name in one.present for name in names] for one in images], np.int64)
    visible = np.array([[name in one.visible for name in names] for one in images], bool)
    present, visible = present.reshape(shape), visible.reshape(shape)
    counts, together = present.sum(axis=0), present.T @ present
    chosen = []
    for row, is_visible in zip(present, visible, strict=True):
        absent = np.flatnonzero(~is_visible)
        orders = {
            RANDOM: rng.permutation(absent),
            POPULAR: absent[np.argsort(-counts[absent], kind='stable')],
            ADVERSARIAL: absent[np.argsort(-(row @ together)[absent], kind='stable')],
        }
        of_class: dict[str, tuple[str, ...]] = {}
        for index in absent.tolist():
            samplings = [name for name, order in orders.items() if index in order[: row.sum()]]
            if samplings:
                of_class[names[index]] = tuple(samplings)
        chosen.append(of_class)
    return chosen
