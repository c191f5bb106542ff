"""Boxes in the text that networks write."""

import numpy as np
import pytest

from robot_perception.models.families.written_boxes import read_written_boxes

SIZE_HW, JSON_HW = (480, 640), (240, 320)


@pytest.mark.parametrize(
    ('text', 'names', 'boxes'),
    [
        ('<loc0256><loc0128><loc0512><loc0896> cup', ['cup'], [[80, 120, 560, 240]]),
        (
            '<loc0000><loc0000><loc0512><loc0512> cup ; <loc0512><loc0512><loc1023><loc1023> hat',
            ['cup', 'hat'],
            [[0, 0, 320, 240], [320, 240, 639.375, 479.53125]],
        ),
        ('<ref>cup</ref><box>[[100, 200, 300, 400]]</box>', ['cup'], [[64, 96, 192, 192]]),
        (
            '<ref>cup</ref><box>[[0, 0, 500, 500], [500, 500, 1000, 1000]]</box>',
            ['cup', 'cup'],
            [[0, 0, 320, 240], [320, 240, 640, 480]],
        ),
        (
            '<|object_ref_start|>a cup<|object_ref_end|><|box_start|>(9,200),(300,400)<|box_end|>',
            ['a cup'],
            [[5.76, 96, 192, 192]],
        ),
        ('<|box_start|>(100,200),(300,400)<|box_end|>', [''], [[64, 96, 192, 192]]),
        (
            '```json\n[{"bbox_2d": [10, 20, 30, 40], "label": "cup"}]\n```',
            ['cup'],
            [[20, 40, 60, 80]],
        ),
        ('[{"bbox_2d": [-5, 20, 400, 40], "label": "wide"}]', ['wide'], [[0, 40, 640, 80]]),
    ],
)
def test_each_notation(text, names, boxes):
    found = read_written_boxes(text, SIZE_HW, JSON_HW)
    assert list(found.class_names) == names
    np.testing.assert_allclose(found.boxes_xyxy, boxes, atol=1e-3)
    assert set(found.scores.tolist()) == {1.0}
    assert len(set(found.class_ids.tolist())) == len(set(names))


@pytest.mark.parametrize(
    'text',
    [
        'There are two cups.',
        '',
        '<loc0256><loc0128><loc0512> cup',
        '<loc0512><loc0896><loc0256><loc0128> swapped corners',
        '<box>[[1, 2, 3]]</box>',
        '[{"bbox_2d": [1, 2, 3], "label": "cup"}]',
        '[{"bbox_2d": ["a", 2, 3, 4]}]',
        '[{"bbox_2d": [NaN, 2, 3, Infinity]}]',
        '[{"bbox_2d": [1e400, 2, 3, 4]}]',
        '[{"bbox_2d": 5}]',
        '[{"bbox_2d": [1, 2',
        '[{' + '[' * 2000 + '}]',
        '[{"label": "outside", "bbox_2d": [900, 900, 950, 950]}]',
    ],
)
def test_text_without_boxes(text):
    assert len(read_written_boxes(text, SIZE_HW, JSON_HW)) == 0


CUP = '{"bbox_2d": [10, 20, 30, 40], "label": "cup"}'
BALL = '{"bbox_2d": [50, 60, 70, 80], "label": "ball"}'


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        (f'[{CUP}, {BALL}, {{"bbox_2d": [1, 2', ('cup', 'ball')),
        (CUP, ('cup',)),
        (f'[{CUP}] and [{BALL}]', ('cup', 'ball')),
        (f'{CUP} {{not JSON}}', ('cup',)),
    ],
    ids=['cut', 'no list', 'two lists', 'beside other text'],
)
def test_whole_objects_are_read_from_any_json(text, names):
    found = read_written_boxes(text, JSON_HW, JSON_HW)
    expected = {'cup': [10, 20, 30, 40], 'ball': [50, 60, 70, 80]}
    assert found.class_names == names
    assert found.boxes_xyxy.tolist() == [expected[name] for name in names]
