"""Tracks whose figures are known: in closed form, and from TrackEval 1.3.0."""

from dataclasses import replace

import numpy as np
import pytest
from truths import example_truth, perfect

from robot_perception.core import Detections
from robot_perception.evaluation.tracking import FrameTracks, tracking_metrics

# HOTA, DetA, AssA, MOTA, IDF1 and switches of random_tracks(seed) by TrackEval 1.3.0.
BY_TRACKEVAL = [
    (0.417853529526, 0.466603908797, 0.378743390079, 0.03125, 0.492307692308, 6),
    (0.385882234205, 0.359434248646, 0.41709680063, -0.130434782609, 0.458333333333, 2),
    (0.432436988128, 0.425410458202, 0.466384035068, -0.157894736842, 0.368421052632, 4),
    (0.43339948505, 0.418052150101, 0.467899643064, 0.111111111111, 0.535714285714, 2),
]


def random_tracks(seed):
    """Draw false negatives, changed ids and false positives at random."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 7))
    frames = []
    numbers = rng.permutation(20)[:count]
    for _ in range(int(rng.integers(1, 25))):
        truth = rng.permutation(count)[: int(rng.integers(0, count + 1))]
        kept = [one for one in truth if rng.random() < 0.8]
        named = [
            int(numbers[one]) if rng.random() < 0.85 else int(rng.integers(20, 24)) for one in kept
        ]
        extra = [int(one) for one in rng.integers(30, 33, int(rng.integers(0, 2)))]
        predictions, meant = [], []
        for one, number in zip(kept, named, strict=True):
            if number not in predictions:
                predictions.append(number)
                meant.append(one)
        predictions += extra
        meant += [None] * len(extra)
        overlap = rng.uniform(0, 0.4, (len(truth), len(predictions)))
        for row, one in enumerate(truth):
            for column, other in enumerate(meant):
                if one == other:
                    overlap[row, column] = rng.uniform(0.3, 1)
        frames.append(
            FrameTracks(np.array(truth, np.int64), np.array(predictions, np.int64), overlap)
        )
    return frames


@pytest.mark.parametrize('seed', range(4))
def test_they_are_those_of_trackeval(seed):
    predictions = tracking_metrics(random_tracks(seed))
    assert (
        predictions.hota,
        predictions.det_a,
        predictions.ass_a,
        predictions.mota,
        predictions.idf1,
        predictions.switches,
    ) == pytest.approx(BY_TRACKEVAL[seed], abs=1e-9)


def frames(*numbers, overlap=1.0):
    """One object, found in each frame under one of ``numbers``, None for not at all."""
    return [
        FrameTracks(
            np.array([7]),
            np.array([] if number is None else [number], np.int64),
            np.full((1, int(number is not None)), overlap),
        )
        for number in numbers
    ]


def test_a_perfect_track():
    predictions = tracking_metrics(frames(3, 3, 3, 3))
    assert (
        predictions.hota,
        predictions.mota,
        predictions.idf1,
        predictions.switches,
    ) == pytest.approx((1, 1, 1, 0))


def test_one_switch_in_the_middle():
    predictions = tracking_metrics(frames(3, 3, 4, 4))
    assert (predictions.switches, predictions.mota, predictions.idf1) == (1, 0.75, 0.5)
    # Each half is with the object in 2 of the 4 frames that either is in.
    assert (predictions.det_a, predictions.ass_a) == pytest.approx((1, 0.5))
    assert predictions.hota == pytest.approx(0.5**0.5)


def test_a_gap_is_no_switch():
    predictions = tracking_metrics(frames(3, None, None, 3))
    assert (predictions.switches, predictions.mota) == (0, 0.5)
    assert predictions.idf1 == pytest.approx(2 * 2 / 6)


def test_unused_track_ids():
    nothing = FrameTracks(np.zeros(0, np.int64), np.array([1, 2]), np.zeros((0, 2)))
    predictions = tracking_metrics([*frames(3, 3), nothing])
    assert (predictions.mota, predictions.switches) == (0, 0)
    assert tracking_metrics([nothing]).hota is None
    assert tracking_metrics([]).mota is None


def test_nothing_found():
    predictions = tracking_metrics(frames(None, None))
    assert (predictions.hota, predictions.mota, predictions.idf1, predictions.switches) == (
        0,
        0,
        0,
        0,
    )


def test_other_names_of_tracks_change_nothing():
    for seed in range(3):
        tracks = random_tracks(seed)
        renamed = [
            replace(one, predictions=1000 - one.predictions, truth=one.truth + 5) for one in tracks
        ]
        first, second = tracking_metrics(tracks), tracking_metrics(renamed)
        assert first.hota == pytest.approx(second.hota)
        assert (first.mota, first.idf1) == pytest.approx((second.mota, second.idf1))


def test_hidden_objects_and_what_lies_on_them_are_left_out():
    truth = example_truth(shares=[1, 0.1, 1, 1]).detections
    truth = replace(truth, track_ids=np.arange(4))
    predictions = replace(perfect(example_truth()).detections, track_ids=np.arange(4) + 10)
    tracks = FrameTracks.of(predictions, truth, truth.scores >= 0.25)
    assert tracks.truth.tolist() == [0, 2, 3]
    assert tracks.predictions.tolist() == [10, 12, 13]
    assert np.array_equal(tracks.overlap, np.eye(3))


def test_objects_of_another_class_do_not_overlap():
    truth = replace(example_truth().detections, track_ids=np.arange(4))
    named = replace(truth, class_names=('dog',) * 4)
    assert not FrameTracks.of(named, truth, np.ones(4, np.bool_)).overlap.any()


def test_objects_without_numbers_are_unknown():
    truth = replace(example_truth().detections, track_ids=np.arange(4))
    every = np.ones(4, np.bool_)
    assert FrameTracks.of(perfect(example_truth()).detections, truth, every) is None
    assert len(FrameTracks.of(Detections.empty(), truth, every).predictions) == 0
