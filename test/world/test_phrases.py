"""Phrases for objects of the demo world, and samples that ask for them."""

from collections import Counter
import json

import cv2
import numpy as np
import pytest

pytest.importorskip('open3d')

from robot_perception.evaluation import evaluate_samples, Prediction, read_samples
from robot_perception.world import CLASS_NAMES, make_phrase_samples, read_phrase, render
from robot_perception.world.color_names import COLOR_NAMES
from robot_perception.world.phrases import (
    COLORED,
    KINDS,
    select_phrases,
    TRAINED_PHRASES,
    UNSEEN_PHRASES,
    vocabulary,
)

# Hues in degrees of saturated colors, as people draw the limits; dark pink is called purple.
HUES_DEG = {'yellow': (40, 75), 'green': (65, 170), 'blue': (160, 260), 'purple': (250, 345)}
TOLERANCE_DEG = 15


def brute_force(text, kinds, colors):
    """Return the objects that a phrase means, None where an object may be meant or not."""
    *color, kind = text.split()
    meant = []
    for index, (its_kind, its_color) in enumerate(zip(kinds, colors, strict=True)):
        if its_kind != kind:
            continue
        if color and its_color is None:
            return None
        if not color or color[0] == its_color:
            meant.append(index)
    return meant


def random_scene(rng):
    kinds = [str(one) for one in rng.choice(CLASS_NAMES, size=6)]
    colors = [None if rng.random() < 0.2 else str(rng.choice(COLOR_NAMES)) for _ in kinds]
    return kinds, colors


def as_numbers(kinds, colors):
    return (
        np.array([CLASS_NAMES.index(one) for one in kinds], np.int64),
        np.array([-1 if one is None else COLOR_NAMES.index(one) for one in colors], np.int64),
    )


@pytest.mark.parametrize('phrases', [KINDS, COLORED])
def test_phrases_mean_what_their_words_mean(phrases):
    rng = np.random.default_rng(0)
    for _ in range(20):
        kinds, colors = random_scene(rng)
        for phrase in phrases:
            meant, is_known = phrase.is_meant(*as_numbers(kinds, colors))
            expected = brute_force(str(phrase), kinds, colors)
            assert is_known == (expected is not None)
            if is_known:
                assert meant.tolist() == expected
            one_by_one = [phrase.describes(*pair) for pair in zip(kinds, colors, strict=True)]
            assert [index for index, one in enumerate(one_by_one) if one] == meant.tolist()
            assert is_known == (None not in one_by_one)


def test_half_of_the_selected_phrases_mean_an_object():
    rng = np.random.default_rng(1)
    shares = []
    for count in (8, 5, 1):
        for _ in range(60):
            kinds, colors = random_scene(rng)
            selection = select_phrases(*as_numbers(kinds, colors), COLORED, rng, count)
            assert len(set(selection.phrases)) == count
            for phrase, meant in zip(selection.phrases, selection.meant, strict=True):
                assert meant.tolist() == brute_force(str(phrase), kinds, colors)
            present = sum(len(meant) > 0 for meant in selection.meant)
            assert present <= (count + 1) // 2
            shares.append(present / count)
    assert 0.3 < np.mean(shares) < 0.55
    # All phrases of a kind whose color is unclear are left out.
    unclear = as_numbers(list(CLASS_NAMES), [None] * len(CLASS_NAMES))
    assert select_phrases(*unclear, COLORED, rng, 8) is None


def test_absent_phrases_are_mostly_of_kinds_that_are_there():
    rng = np.random.default_rng(2)
    kinds, colors = as_numbers(['cup', 'ball'], ['red', 'blue'])
    hard = Counter()
    for _ in range(100):
        selection = select_phrases(kinds, colors, COLORED, rng, 8)
        for phrase, meant in zip(selection.phrases, selection.meant, strict=True):
            if not len(meant):
                hard[phrase.kind in kinds] += 1
    # By chance 2 of 7.
    assert hard[True] > hard[False]


def test_every_spelling_is_read():
    assert read_phrase(' Red  CUPS') is read_phrase('red cup')
    assert str(read_phrase('violet books')) == 'purple book'
    assert str(read_phrase('balls')) == 'ball'
    for text in ('', 'red', 'cup red', 'red cup.', 'a red cup', 'tall cup'):
        assert read_phrase(text) is None
    known = set(vocabulary())
    for phrase in (*KINDS, *COLORED):
        assert read_phrase(str(phrase)) == phrase
        assert set(str(phrase).split()) <= known
    assert len(UNSEEN_PHRASES) == 4
    assert set(TRAINED_PHRASES) | set(UNSEEN_PHRASES) == set(COLORED)


@pytest.fixture(scope='module')
def frames():
    return {seed: render(seed, (120, 160)) for seed in range(900_008, 900_020)}


@pytest.mark.slow
def test_color_names_agree_with_the_hues_of_the_image(frames):
    """Names come from materials; light and shadow keep hues within a few degrees."""
    right = []
    for frame in frames.values():
        hue, saturation, value = cv2.split(cv2.cvtColor(frame.image.rgb, cv2.COLOR_RGB2HSV))
        for index, color in enumerate(frame.colors):
            if color in HUES_DEG and frame.detections.scores[index] > 0.5:
                pixels = (frame.instances == index + 1) & (value > 40) & (saturation > 60)
                if pixels.sum() > 50:
                    low, high = HUES_DEG[color]
                    middle = 2.0 * np.median(hue[pixels])
                    right.append(low - TOLERANCE_DEG < middle < high + TOLERANCE_DEG)
    assert len(right) > 10
    assert np.mean(right) > 0.9


@pytest.mark.slow
def test_samples_of_rendered_scenes(frames, tmp_path):
    entries = []
    for seed, frame in frames.items():
        samples = make_phrase_samples(frame, f'{seed}.png', seed)
        assert samples == make_phrase_samples(frame, f'{seed}.png', seed)
        names, colors = frame.detections.class_names, frame.colors
        shown = [
            color if share >= 0.25 else None
            for color, share in zip(colors, frame.detections.scores, strict=True)
        ]
        for sample in samples:
            asked = {item['name'] for item in sample['gt_objects']} | set(sample['gt_absent'])
            assert len(asked) == 8
            for name in asked:
                meant = brute_force(name, names, shown)
                boxes = [item['box'] for item in sample['gt_objects'] if item['name'] == name]
                assert len(boxes) == len(meant)
                for index, box in zip(meant, boxes, strict=True):
                    rows, columns = np.nonzero(frame.instances == index + 1)
                    tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    assert box == [float(side) for side in tight]
            unseen = {str(phrase) for phrase in UNSEEN_PHRASES}
            if sample['kind'] == 'seen in training':
                assert not asked & unseen
            else:
                assert {item['name'] for item in sample['gt_objects']} <= unseen
        entries += samples
    assert {entry['kind'] for entry in entries} == {'seen in training', 'unseen in training'}
    (tmp_path / 'samples.json').write_text(json.dumps(entries))
    read = read_samples(tmp_path / 'samples.json')
    assert all(len(sample.asked) == 8 for sample in read)
    for objects, expected in ((None, (1, 0)), ((), (0, 0))):
        report = evaluate_samples(
            read, [Prediction(objects=one.objects if objects is None else objects) for one in read]
        )
        found = {f'{row.metric.group}/{row.metric.name}': row.metric.value for row in report.rows}
        assert found['grounding/accuracy at IoU 0.5'] == expected[0]
        assert found['accuracy at IoU 0.5 by kind/unseen in training'] == expected[0]
        assert found['grounding/false alarms per absent name'] == expected[1]
