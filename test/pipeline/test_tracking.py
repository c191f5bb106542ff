"""Numbers stay with objects: motion, meetings, occlusion, and the exact truth of the demo world."""

import numpy as np
import pytest

from robot_perception.core import Detections, Image
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.pipeline.tracking import Tracker
from robot_perception.world import sequence

FRAME_NS = 100_000_000


def boxes(*middles, names=None, side=20):
    corners = np.array(
        [(x - side / 2, y - side / 2, x + side / 2, y + side / 2) for x, y in middles]
    )
    names = names or ('cup',) * len(middles)
    return Detections(
        corners.reshape(-1, 4).astype(np.float32),
        np.ones(len(middles), np.float32),
        np.zeros(len(middles), np.int32),
        tuple(names),
    )


def follow(tracker, frame, *middles, names=None, max_lost_s=1.0):
    found = tracker.update(boxes(*middles, names=names), frame * FRAME_NS, max_lost_s)
    return found.track_ids.tolist()


def test_an_object_keeps_its_number_whatever_its_place_in_the_list():
    tracker = Tracker()
    assert follow(tracker, 1, (20, 20), (60, 20)) == [1, 2]
    assert follow(tracker, 2, (62, 22), (22, 20)) == [2, 1]
    assert follow(tracker, 3, (100, 80), (24, 20), (64, 24)) == [3, 1, 2]


def test_two_that_pass_each_other_keep_their_numbers():
    tracker = Tracker()
    for frame in range(1, 12):
        # By half a side a frame, in opposite directions, 12 pixels apart.
        numbers = follow(tracker, frame, (20 + 8 * frame, 40), (120 - 8 * frame, 52))
        assert numbers == [1, 2]


def test_a_fast_one_is_expected_where_it_goes():
    tracker = Tracker()
    assert follow(tracker, 1, (20, 20)) == [1]
    assert follow(tracker, 2, (28, 20)) == [1]
    # Three frames' way in one: no overlap with the last box, but with the expected one.
    found = tracker.update(boxes((52, 20)), 5 * FRAME_NS, 1.0)
    assert found.track_ids.tolist() == [1]


def test_a_change_of_mind_about_the_class_keeps_the_number():
    tracker = Tracker()
    assert follow(tracker, 1, (20, 20), names=['cup']) == [1]
    assert follow(tracker, 2, (20, 20), names=['bowl']) == [1]


def test_of_two_at_one_place_each_class_keeps_its_number():
    tracker = Tracker()
    assert follow(tracker, 1, (20, 20), (22, 20), names=['cup', 'bowl']) == [1, 2]
    # Each now lies where the other was.
    assert follow(tracker, 2, (20, 20), (22, 20), names=['bowl', 'cup']) == [2, 1]


def test_faint_sights_keep_a_track_and_are_no_objects():
    tracker = Tracker()
    follow(tracker, 1, (20, 20))
    for frame in range(2, 9):
        faint = boxes((20 + 6 * (frame - 1), 20))
        assert len(tracker.update(boxes(), frame * FRAME_NS, 0.3, faint)) == 0
    assert follow(tracker, 9, (68, 20), max_lost_s=0.3) == [1]


def test_faint_sights_begin_nothing_and_take_no_track_from_sure_ones():
    tracker = Tracker()
    tracker.update(boxes(), FRAME_NS, 1.0, boxes((20, 20)))
    assert follow(tracker, 2, (20, 20)) == [1]
    found = tracker.update(boxes((24, 20)), 3 * FRAME_NS, 1.0, boxes((20, 20)))
    assert found.track_ids.tolist() == [1]
    assert follow(tracker, 4, (28, 20)) == [1]


def test_what_is_hidden_goes_with_the_picture():
    tracker = Tracker()
    follow(tracker, 1, (20, 20), (90, 60), (160, 20))
    for frame in range(2, 8):
        moved = 10 * (frame - 1)
        assert follow(tracker, frame, (20 + moved, 20), (90 + moved, 60)) == [1, 2]
    assert follow(tracker, 8, (230, 20)) == [3]


@pytest.mark.parametrize(('hidden', 'number'), [(3, 1), (9, 1), (11, 2)])
def test_a_short_occlusion_is_survived_and_a_long_one_is_not(hidden, number):
    tracker = Tracker()
    follow(tracker, 1, (20, 20))
    for frame in range(hidden):
        assert follow(tracker, 2 + frame) == []
    assert follow(tracker, 2 + hidden, (26, 20)) == [number]


def test_another_of_the_class_elsewhere_is_not_the_lost_one():
    tracker = Tracker()
    follow(tracker, 1, (20, 20))
    follow(tracker, 2)
    assert follow(tracker, 3, (80, 20)) == [2]


def test_a_jump_back_begins_anew_and_numbers_are_not_given_twice():
    tracker = Tracker()
    follow(tracker, 5, (20, 20))
    assert follow(tracker, 4, (20, 20)) == [2]
    tracker.reset()
    assert follow(tracker, 5, (20, 20)) == [3]


def test_detections_are_otherwise_unchanged():
    found = boxes((20, 20), (60, 20), names=['cup', 'bowl'])
    same = Tracker().update(found, FRAME_NS, 1.0)
    np.testing.assert_array_equal(same.boxes_xyxy, found.boxes_xyxy)
    assert same.class_names == found.class_names


@pytest.mark.parametrize('seed', [900_000, 900_003])
def test_numbers_are_those_of_the_truth_while_the_camera_moves(seed):
    tracker, meaning, switches = Tracker(), {}, 0
    for index, frame in enumerate(sequence(seed, 90, (60, 80))):
        # A camera of 10 pictures a second sees more motion between two of them.
        if index % 3:
            continue
        truth = frame.detections
        found = tracker.update(truth, frame.image.stamp_ns, 1.0)
        for true, number in zip(truth.track_ids.tolist(), found.track_ids.tolist(), strict=True):
            switches += meaning.setdefault(true, number) != number
            meaning[true] = number
    assert len(meaning) >= 3
    assert switches == 0


def picture(stamp_ns):
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[30:60, 40:80] = 255
    return Image(rgb, stamp_ns=stamp_ns)


def test_the_pipeline_numbers_what_has_a_stamp():
    pipeline = PerceptionPipeline.from_preset('stub')
    first, second = (pipeline.process(picture(stamp)) for stamp in (FRAME_NS, 2 * FRAME_NS))
    numbers = first.detections.track_ids
    assert numbers is not None
    assert len(set(numbers.tolist())) == len(first.detections) > 0
    np.testing.assert_array_equal(second.detections.track_ids, numbers)
    assert [item.track_id for item in second.objects] == numbers.tolist()
    assert pipeline.process(picture(0)).detections.track_ids is None


def test_tracking_can_be_switched_off():
    pipeline = PerceptionPipeline.from_preset('stub', {'tracking.enabled': False})
    scene = pipeline.process(picture(FRAME_NS))
    assert scene.detections.track_ids is None
    assert {item.track_id for item in scene.objects} == {None}


class Seen:
    """A detector that sees three boxes, two of them on one object, and a faint one."""

    class_names = ('cup', 'bowl')

    def detect(self, _, *, threshold, max_objects):
        corners = [[10, 10, 50, 50], [12, 10, 52, 50], [80, 60, 120, 100], [130, 10, 150, 30]]
        scores = np.array([0.9, 0.8, 0.7, 0.3], np.float32)
        kept = np.flatnonzero(scores > threshold)[:max_objects]
        found = Detections(
            np.array(corners, np.float32),
            scores,
            np.array([0, 1, 0, 0], np.int32),
            ('cup', 'bowl', 'cup', 'cup'),
        )
        return found.select(kept)


@pytest.mark.parametrize(
    ('settings', 'scores'),
    [
        ({}, [0.9, 0.7]),
        ({'detector.max_overlap': 1.0}, [0.9, 0.8, 0.7]),
        ({'detector.max_objects': 1}, [0.9]),
        ({'detector.max_objects': 2}, [0.9, 0.7]),
        ({'detector.threshold': 0.25}, [0.9, 0.7, 0.3]),
    ],
)
@pytest.mark.parametrize('stamp_ns', [0, FRAME_NS])
def test_one_object_is_one_box(settings, scores, stamp_ns):
    config = PerceptionConfig.from_preset('stub', settings)
    found = PerceptionPipeline(config, detector=Seen()).process(picture(stamp_ns)).detections
    assert found.scores.tolist() == pytest.approx(scores)
