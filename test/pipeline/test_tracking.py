"""Track ids: motion, crossing, occlusion, and the exact ground truth of the demo world."""

import numpy as np
import pytest
from reasons import raises

from robot_perception.core import Detections, Image
from robot_perception.core.errors import ConfigError
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.pipeline.tracking import Tracker
from robot_perception.world import sequence

FRAME_NS = 100_000_000


def boxes(*centers, names=None, side=20):
    corners = np.array(
        [(x - side / 2, y - side / 2, x + side / 2, y + side / 2) for x, y in centers]
    )
    names = names or ('cup',) * len(centers)
    return Detections(
        corners.reshape(-1, 4).astype(np.float32),
        np.ones(len(centers), np.float32),
        np.zeros(len(centers), np.int32),
        tuple(names),
    )


def update(tracker, frame, *centers, names=None, max_lost_s=1.0):
    tracked = tracker.update(boxes(*centers, names=names), frame * FRAME_NS, max_lost_s)
    return tracked.track_ids.tolist()


def test_track_ids_do_not_depend_on_the_order_of_detections():
    tracker = Tracker()
    assert update(tracker, 1, (20, 20), (60, 20)) == [1, 2]
    assert update(tracker, 2, (62, 22), (22, 20)) == [2, 1]
    assert update(tracker, 3, (100, 80), (24, 20), (64, 24)) == [3, 1, 2]


def test_crossing_objects_keep_their_track_ids():
    tracker = Tracker()
    for frame in range(1, 12):
        # 8 pixels a frame in opposite directions, 12 pixels apart.
        track_ids = update(tracker, frame, (20 + 8 * frame, 40), (120 - 8 * frame, 52))
        assert track_ids == [1, 2]


def test_fast_objects_are_matched_at_their_predicted_position():
    tracker = Tracker()
    assert update(tracker, 1, (20, 20)) == [1]
    assert update(tracker, 2, (28, 20)) == [1]
    # After two missing frames it overlaps its predicted box only.
    tracked = tracker.update(boxes((52, 20)), 5 * FRAME_NS, 1.0)
    assert tracked.track_ids.tolist() == [1]


def test_a_change_of_class_keeps_the_track_id():
    tracker = Tracker()
    assert update(tracker, 1, (20, 20), names=['cup']) == [1]
    assert update(tracker, 2, (20, 20), names=['bowl']) == [1]


def test_overlapping_objects_are_matched_by_class():
    tracker = Tracker()
    assert update(tracker, 1, (20, 20), (22, 20), names=['cup', 'bowl']) == [1, 2]
    # They swap positions.
    assert update(tracker, 2, (20, 20), (22, 20), names=['bowl', 'cup']) == [2, 1]


def test_low_confidence_continues_a_track_without_being_returned():
    tracker = Tracker()
    update(tracker, 1, (20, 20))
    for frame in range(2, 9):
        low_confidence = boxes((20 + 6 * (frame - 1), 20))
        assert len(tracker.update(boxes(), frame * FRAME_NS, 0.3, low_confidence)) == 0
    assert update(tracker, 9, (68, 20), max_lost_s=0.3) == [1]


@pytest.mark.parametrize(('offset', 'track_id'), [(9, 1), (10, 2)])
def test_low_confidence_needs_an_overlap_of_at_least_a_third(offset, track_id):
    """Boxes of 20 pixels that are 9 apart have an IoU of 0.38, those 10 apart 0.33."""
    tracker = Tracker()
    update(tracker, 1, (20, 20))
    tracker.update(boxes(), 2 * FRAME_NS, 0.15, boxes((20 + offset, 20)))
    assert update(tracker, 3, (20 + 2 * offset, 20), max_lost_s=0.15) == [track_id]


def test_low_confidence_starts_no_track_and_takes_none_from_high_confidence():
    tracker = Tracker()
    tracker.update(boxes(), FRAME_NS, 1.0, boxes((20, 20)))
    assert update(tracker, 2, (20, 20)) == [1]
    tracked = tracker.update(boxes((24, 20)), 3 * FRAME_NS, 1.0, boxes((20, 20)))
    assert tracked.track_ids.tolist() == [1]
    assert update(tracker, 4, (28, 20)) == [1]


def test_lost_tracks_move_with_the_image_content():
    tracker = Tracker()
    update(tracker, 1, (20, 20), (90, 60), (160, 20))
    for frame in range(2, 8):
        shift = 10 * (frame - 1)
        assert update(tracker, frame, (20 + shift, 20), (90 + shift, 60)) == [1, 2]
    assert update(tracker, 8, (230, 20)) == [3]


@pytest.mark.parametrize(('hidden', 'track_id'), [(3, 1), (9, 1), (11, 2)])
def test_tracks_survive_a_short_occlusion_and_no_long_one(hidden, track_id):
    tracker = Tracker()
    update(tracker, 1, (20, 20))
    for frame in range(hidden):
        assert update(tracker, 2 + frame) == []
    assert update(tracker, 2 + hidden, (26, 20)) == [track_id]


def test_a_distant_object_of_the_class_does_not_take_a_lost_track():
    tracker = Tracker()
    update(tracker, 1, (20, 20))
    update(tracker, 2)
    assert update(tracker, 3, (80, 20)) == [2]


def test_a_restart_drops_tracks_and_ids_are_not_reused():
    tracker = Tracker()
    update(tracker, 7, (20, 20))
    assert update(tracker, 1, (20, 20)) == [2]
    tracker.reset()
    assert update(tracker, 7, (20, 20)) == [3]


# Order of arrival of ten frames: neighbors swapped, twice the same, late by half a second.
DISORDER = [
    (1, 2, 4, 3, 5, 6, 8, 7, 9, 10),
    (1, 2, 3, 3, 4, 5, 5, 5, 6, 7),
    (1, 2, 3, 4, 6, 7, 8, 9, 10, 5),
]


@pytest.mark.parametrize('order', DISORDER)
def test_track_ids_survive_disorder(order):
    tracker = Tracker()
    for frame in order:
        # One moves fast, one slowly against it, one is hidden in every third frame.
        centers = [(20 + 8 * frame, 20), (120 - 2 * frame, 60)]
        hidden = [] if frame % 3 == 0 else [(200, 80)]
        assert update(tracker, frame, *centers, *hidden) == [1, 2, *([3] if hidden else [])]


def test_a_late_frame_moves_no_track_back():
    ordered, disordered = Tracker(), Tracker()
    for frame in (1, 2, 3, 5, 6):
        update(ordered, frame, (20 + 8 * frame, 20))
        update(disordered, frame, (20 + 8 * frame, 20))
        if frame == 5:
            update(disordered, 4, (20 + 8 * 4, 20))
    assert disordered.state_dict() == ordered.state_dict()


@pytest.mark.parametrize('gap_ns', [1, 1000, 1_000_000])
def test_track_ids_survive_frames_that_arrive_in_bursts(gap_ns):
    """Boxes jitter by a pixel, which between two frames of a burst is no motion."""
    tracker, rng = Tracker(), np.random.default_rng(0)
    for burst in range(20):
        for index in range(3):
            stamp_ns = (burst + 1) * FRAME_NS + index * gap_ns
            x, y = rng.uniform(-1, 1, 2)
            tracked = tracker.update(boxes((50 + x, 50 + y)), stamp_ns, 1.0)
            assert tracked.track_ids.tolist() == [1]


def test_detections_are_otherwise_unchanged():
    detections = boxes((20, 20), (60, 20), names=['cup', 'bowl'])
    tracked = Tracker().update(detections, FRAME_NS, 1.0)
    np.testing.assert_array_equal(tracked.boxes_xyxy, detections.boxes_xyxy)
    assert tracked.class_names == detections.class_names


@pytest.mark.parametrize('seed', [900_000, 900_003])
@pytest.mark.slow
def test_track_ids_follow_the_ground_truth_while_the_camera_moves(seed):
    tracker, track_ids, switches = Tracker(), {}, 0
    for index, frame in enumerate(sequence(seed, 90, (60, 80))):
        # At 10 images a second there is more motion between two of them.
        if index % 3:
            continue
        truth = frame.detections
        tracked = tracker.update(truth, frame.image.stamp_ns, 1.0)
        for true, track_id in zip(
            truth.track_ids.tolist(), tracked.track_ids.tolist(), strict=True
        ):
            switches += track_ids.setdefault(true, track_id) != track_id
            track_ids[true] = track_id
    assert len(track_ids) >= 3
    assert switches == 0


def image(stamp_ns):
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[30:60, 40:80] = 255
    return Image(rgb, stamp_ns=stamp_ns)


def test_the_pipeline_tracks_images_with_a_stamp():
    pipeline = PerceptionPipeline.from_preset('stub')
    first, second = (pipeline.process(image(stamp)) for stamp in (FRAME_NS, 2 * FRAME_NS))
    track_ids = first.detections.track_ids
    assert track_ids is not None
    assert len(set(track_ids.tolist())) == len(first.detections) > 0
    np.testing.assert_array_equal(second.detections.track_ids, track_ids)
    assert [item.track_id for item in second.objects] == track_ids.tolist()
    assert pipeline.process(image(0)).detections.track_ids is None
    unstamped = pipeline.process(image(0), time_ns=3 * FRAME_NS)
    np.testing.assert_array_equal(unstamped.detections.track_ids, track_ids)
    assert unstamped.image.stamp_ns == 0


def test_tracking_can_be_disabled():
    pipeline = PerceptionPipeline.from_preset('stub', {'tracking.enabled': False})
    scene = pipeline.process(image(FRAME_NS))
    assert scene.detections.track_ids is None
    assert {item.track_id for item in scene.objects} == {None}


class FixedDetector:
    """A detector with two overlapping boxes, a separate one, and one of low confidence."""

    class_names = ('cup', 'bowl')

    def detect(self, _, *, threshold, max_objects):
        corners = [[10, 10, 50, 50], [12, 10, 52, 50], [80, 60, 120, 100], [130, 10, 150, 30]]
        scores = np.array([0.9, 0.8, 0.7, 0.3], np.float32)
        kept = np.flatnonzero(scores > threshold)[:max_objects]
        detections = Detections(
            np.array(corners, np.float32),
            scores,
            np.array([0, 1, 0, 0], np.int32),
            ('cup', 'bowl', 'cup', 'cup'),
        )
        return detections[kept]


@pytest.mark.parametrize(
    ('settings', 'scores'),
    [
        ({}, [0.9, 0.7]),
        ({'detector.max_overlap': 1.0}, [0.9, 0.8, 0.7]),
        ({'detector.max_objects': 1}, [0.9]),
        ({'detector.max_objects': 2}, [0.9, 0.7]),
        ({'detector.threshold': 0.25}, [0.9, 0.7, 0.3]),
        # A box of another class suppresses none, and does not count.
        ({'detector.classes': 'bowl'}, [0.8]),
        ({'detector.classes': ' Cup , bowl,', 'detector.max_objects': 2}, [0.9, 0.7]),
        ({'detector.classes': 'bowl', 'detector.max_objects': 1}, [0.8]),
    ],
)
@pytest.mark.parametrize('stamp_ns', [0, FRAME_NS])
def test_overlapping_boxes_are_suppressed(settings, scores, stamp_ns):
    config = PerceptionConfig.from_preset('stub', settings)
    scene = PerceptionPipeline(config, detector=FixedDetector()).process(image(stamp_ns))
    assert scene.detections.scores.tolist() == pytest.approx(scores)


def test_classes_change_between_frames_and_unknown_ones_are_refused():
    others = {f'{stage}.enabled': False for stage in ('features', 'depth', 'segmenter')}
    config = PerceptionConfig.from_preset('stub', others)
    pipeline = PerceptionPipeline(config, detector=FixedDetector())
    pipeline.reconfigure(config.with_values({'detector.classes': 'bowl'}))
    assert pipeline.process(image(0)).detections.class_names == ('bowl',)
    message = "expected names of the detector's 2 classes, got 'cups'. Nearest: cup. It has cup, b"
    for text in ('cups', 'bowl, cups'):
        wrong = config.with_values({'detector.classes': text})
        with raises(ConfigError, 'unknown_class', message):
            pipeline.reconfigure(wrong)
        with raises(ConfigError, 'unknown_class', message):
            PerceptionPipeline(wrong, detector=FixedDetector())
    assert pipeline.process(image(0)).detections.class_names == ('bowl',)
    assert PerceptionPipeline(wrong).process(image(0)).detections is None
