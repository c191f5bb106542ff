from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from reasons import raises
from transformers.image_transforms import get_size_with_aspect_ratio
from transformers.models.dpt.image_processing_pil_dpt import get_resize_output_image_size
from transformers.models.yolos.image_processing_pil_yolos import get_size_with_aspect_ratio_yolos

from robot_perception.core.errors import ConfigError
from robot_perception.models.resize import check_input_size, Exactly, ShortSide, WholePatches

SIDES = st.integers(200, 2000)


@given(SIDES, SIDES, st.sampled_from([(800, 1333), (480, 640), (360, 600)]))
def test_short_side_is_the_rule_of_detr(height, width, edges):
    assert ShortSide(*edges)((height, width)) == get_size_with_aspect_ratio(
        (height, width), *edges
    )


@given(SIDES, SIDES)
def test_short_side_in_multiples_is_the_rule_of_yolos(height, width):
    expected = get_size_with_aspect_ratio_yolos((height, width), 512, 864)
    assert ShortSide(512, 864, multiple=16)((height, width)) == expected


@given(SIDES, SIDES, st.sampled_from([518, 308, 252]))
def test_whole_patches_is_the_rule_of_depth_anything(height, width, side):
    image = np.zeros((3, height, width), np.uint8)
    expected = get_resize_output_image_size(
        image, (side, side), keep_aspect_ratio=True, multiple=14
    )
    assert WholePatches(side, side, 14)((height, width)) == (expected.height, expected.width)


@pytest.mark.parametrize(
    ('rule', 'size_hw', 'expected'),
    [
        (Exactly(640, 480), (7, 9), (640, 480)),
        (ShortSide(800, 1333), (480, 640), (800, 1066)),
        (ShortSide(800, 1333), (1, 1), (800, 800)),
        (ShortSide(800, 1333, 16), (1, 4000), (16, 1328)),
        (WholePatches(518, 518, 14), (480, 640), (518, 686)),
        (WholePatches(252, 252, 14), (480, 640), (252, 336)),
        (WholePatches(224, 224, 14), (480, 640), (224, 294)),
        (WholePatches(224, 224, 14), (1, 1), (224, 224)),
        (WholePatches(224, 224, 14), (10, 4000), (14, 224)),
    ],
)
def test_known_sizes(rule, size_hw, expected):
    assert rule(size_hw) == expected


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_no_side_is_ever_zero(height, width):
    for rule in (ShortSide(800, 1333, 16), WholePatches(518, 518, 14)):
        assert min(rule((height, width))) > 0


@pytest.mark.parametrize(('input_size', 'use'), [(-32, 32), (500, 512), (1, 32)])
def test_an_input_size_that_is_not_a_multiple_is_rejected(input_size, use):
    message = (
        rf'detector.input_size: expected a multiple of 32 pixels, .* got {input_size}. Use {use}.'
    )
    with raises(ConfigError, 'out_of_range', message):
        check_input_size('detector.input_size', input_size, 32)


def test_an_input_size_of_zero_is_accepted():
    check_input_size('detector.input_size', 0, 32)
