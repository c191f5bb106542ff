"""Whether features tell what kind of scene a picture shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.core import Float32Array

_LEAST_PICTURES = 2


def nearest_agree(vectors: Sequence[Float32Array], words: Sequence[str]) -> list[bool]:
    """For each picture, whether the most similar other one is of the same kind.

    That is leave-one-out classification by the nearest neighbour, in the angle of the vectors.

    Args:
        vectors: N vectors of one length, of one encoder.
        words: N kinds.

    Returns:
        N answers; none where there are fewer than two pictures.

    """
    if len(vectors) < _LEAST_PICTURES:
        return []
    table = np.stack(vectors).astype(np.float64)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    table = np.divide(table, lengths, out=np.zeros_like(table), where=lengths > 0)
    similarity = table @ table.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = similarity.argmax(axis=1).tolist()
    return [words[other] == own for other, own in zip(nearest, words, strict=True)]
