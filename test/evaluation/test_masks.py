"""Overlaps of masks, against squares and against the authors' recipe."""

import numpy as np
import pytest

from robot_perception.evaluation.masks import boundary_iou, mask_iou

SIZE = (120, 160)
# 2 % of the diagonal of 200 pixels.
REACH = 4


def square(left, top, side):
    mask = np.zeros(SIZE, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


NOTHING = square(0, 0, 0)


def test_squares_side_by_side():
    assert mask_iou(square(10, 10, 20), square(20, 10, 20)) == pytest.approx(200 / 600)
    assert mask_iou(square(10, 10, 20), square(60, 60, 20)) == 0


def test_nothing_overlaps_nothing():
    for iou in (mask_iou, boundary_iou):
        assert iou(NOTHING, NOTHING) == 0
        assert iou(NOTHING, square(3, 3, 9)) == 0
        assert iou(square(3, 3, 9), square(3, 3, 9)) == 1


def ring(side):
    return side**2 - max(0, side - 2 * REACH) ** 2


def test_one_square_within_another():
    # The rings of widths 4 share what lies 2 to 4 pixels inside of the larger.
    large, small = square(30, 30, 40), square(32, 32, 36)
    shared = 36**2 - 32**2
    assert boundary_iou(large, small) == pytest.approx(shared / (ring(40) + ring(36) - shared))
    assert boundary_iou(large, small) < mask_iou(large, small)


def test_the_border_of_the_image_is_an_outline():
    # In the corner of the image, and the same without its upper left ring.
    mask = square(0, 0, 20)
    without = square(REACH, REACH, 16)
    shared = 16**2 - 12**2
    assert boundary_iou(mask, without) == pytest.approx(shared / (ring(20) + ring(16) - shared))


@pytest.mark.parametrize('seed', range(4))
def test_boundaries_equal_the_recipe_of_the_authors(seed):
    library = pytest.importorskip('faster_coco_eval.core.mask')
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        blobs = [
            (rows - y) ** 2 + (columns - x) ** 2 < r**2
            for y, x, r in rng.uniform((0, 0, 5), (*SIZE, 40), (4, 3))
        ]
        masks.append(np.any(blobs, axis=0))
    first, second = (
        library.decode(
            library.rleToBoundaryCV(library.encode(np.asfortranarray(mask.astype(np.uint8))))
        ).astype(bool)
        for mask in masks
    )
    assert boundary_iou(*masks) == pytest.approx(mask_iou(first, second))
