"""A pipeline under examination gives the same scene, and more."""

from dataclasses import replace

import numpy as np
import pytest
from reasons import raises
from truths import example_truth

from robot_perception.core import DepthSource, Detections, Masks, MetricDepth
from robot_perception.core.errors import ConfigError, InputError
from robot_perception.core.rotation import quaternion_to_matrix
from robot_perception.evaluation import EvaluationPipeline
from robot_perception.models import ImageEmbedding
from robot_perception.pipeline import Networks, PerceptionConfig, PerceptionPipeline

# All boxes here are the same.
STUB = PerceptionConfig.from_preset('stub', {'detector.max_overlap': 1.0})


class ManyBoxes:
    """Finds ``count`` boxes whose scores go down to 0 evenly; counts how often it is asked."""

    class_names = ('cup',)

    def __init__(self, count=200):
        self.count, self.asked = count, 0

    def detect(self, frame, *, threshold, max_objects):
        self.asked += 1
        scores = np.linspace(1, 0, self.count, dtype=np.float32)
        kept = np.flatnonzero(scores > threshold)[:max_objects]
        boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (len(kept), 1))
        return Detections(boxes, scores[kept], np.zeros(len(kept), np.int32), ('cup',) * len(kept))


class WholeBoxes:
    """Fills boxes, and stores how many it was given."""

    def __init__(self):
        self.given = []

    def encode(self, image):
        return ImageEmbedding(image.image)

    def segment(self, embedding, boxes_xyxy):
        self.given.append(len(boxes_xyxy))
        pixels = np.zeros((len(boxes_xyxy), *embedding.image.size_hw), np.bool_)
        for mask, box in zip(pixels, boxes_xyxy.astype(int), strict=True):
            mask[box[1] : box[3], box[0] : box[2]] = True
        return Masks(pixels, np.ones(len(pixels), np.float32))


@pytest.mark.parametrize('threshold', [0.0, 0.005, 0.5, 0.85])
def test_the_scene_is_that_of_the_pipeline(threshold):
    config = STUB.with_values({'detector.threshold': threshold, 'detector.max_objects': 7})
    truth = example_truth()
    output = EvaluationPipeline(
        config, Networks(detector=ManyBoxes(), segmenter=WholeBoxes())
    ).process(truth)
    plain = PerceptionPipeline(config, detector=ManyBoxes(), segmenter=WholeBoxes())
    expected = plain.process(truth.image, truth.camera)
    assert np.array_equal(output.scene.detections.scores, expected.detections.scores)
    assert np.array_equal(output.scene.masks.pixels, expected.masks.pixels)
    assert list(output.scene.timing_s) == list(expected.timing_s)


def test_candidates_do_not_overlap_too_much():
    config = STUB.with_values({'detector.max_overlap': 0.99})
    output = EvaluationPipeline(config, Networks(detector=ManyBoxes())).process(example_truth())
    assert output.candidates.scores.tolist() == [1.0]
    assert output.scene.detections.scores.tolist() == [1.0]


def test_the_detector_runs_once_and_the_segmenter_gets_what_is_above_the_threshold():
    detector, segmenter = ManyBoxes(100), WholeBoxes()
    config = STUB.with_values({'detector.threshold': 0.9})
    output = EvaluationPipeline(config, Networks(detector=detector, segmenter=segmenter)).process(
        example_truth(count=3)
    )
    assert detector.asked == 1
    assert len(output.candidates) == 99, 'all that score above 0.01'
    assert segmenter.given == [10, 3], 'predicted boxes, then true ones'


def test_candidates_are_as_many_as_coco_looks_at():
    output = EvaluationPipeline(STUB, Networks(detector=ManyBoxes(300))).process(example_truth())
    assert len(output.candidates) == 100
    assert len(output.scene.detections) == STUB.detector.max_objects


def test_masks_of_true_boxes_are_there_without_a_detector():
    truth = example_truth()
    output = EvaluationPipeline(STUB, Networks(segmenter=WholeBoxes())).process(truth)
    assert (output.candidates, output.scene.masks) == (None, None)
    assert np.array_equal(output.true_box_masks.pixels, truth.masks.pixels)


def test_every_stage_runs_on_every_frame():
    config = STUB.with_values({'features.every_k': 5, 'depth.every_k': 3})
    pipeline = EvaluationPipeline.load(config)
    for _ in range(2):
        output = pipeline.process(example_truth())
        assert output.scene.features is not None
        assert output.scene.depth is not None


def test_stages_that_are_off_stay_off():
    config = STUB.with_values({'detector.enabled': False, 'segmenter.enabled': False})
    output = EvaluationPipeline.load(config).process(example_truth())
    assert (output.candidates, output.true_box_masks) == (None, None)
    assert output.scene.detections is None


def test_what_is_given_is_the_truth_and_needs_no_network():
    missing = {f'{stage}.model': '/nothing' for stage in ('depth', 'detector', 'segmenter')}
    config = STUB.with_values(missing | {'detector.max_overlap': 0.1})
    truth = example_truth(shares=[1, 0.1, 0.5, 1])
    output = EvaluationPipeline.load(config, ('depth', 'objects')).process(truth)
    scene = output.scene
    assert np.array_equal(scene.depth.meters, truth.depth.meters)
    # The most visible first.
    order = [0, 3, 2, 1]
    assert np.array_equal(scene.detections.boxes_xyxy, truth.detections.boxes_xyxy[order])
    assert scene.detections.class_names == tuple(truth.detections.class_names[i] for i in order)
    assert scene.detections.scores.tolist() == [1] * 4
    assert np.array_equal(scene.masks.pixels, truth.masks.pixels[order])
    assert output.true_box_masks is None


def test_boxes_are_upright_where_up_is_known():
    up = (0.0, -0.8, -0.6)
    for known in (None, up):
        truth = replace(example_truth(), up=known)
        scene = EvaluationPipeline.load(STUB, ('depth', 'objects')).process(truth).scene
        for item in scene.objects:
            third = quaternion_to_matrix(item.position.box.rotation_xyzw)[:, 2]
            assert third == pytest.approx((0, 0, 1) if known is None else up)


def test_what_the_truth_does_not_have_cannot_be_given():
    truth = replace(example_truth(), depth=None)
    with raises(InputError, 'missing_depth'):
        EvaluationPipeline.load(STUB, ('depth',)).process(truth)
    with raises(ConfigError, 'unknown_choice'):
        EvaluationPipeline.load(STUB, ('boxes',))


def test_sensor_depth_is_used_by_source():
    truth = example_truth()
    measured = truth.depth.meters.copy()
    measured[:30] = np.nan
    sensor = MetricDepth(measured)
    for source in DepthSource:
        config = STUB.with_values({'depth.source': source})
        scene = EvaluationPipeline.load(config).process(truth, sensor).scene
        assert scene.depth_source is source
        known = np.isfinite(scene.depth.meters)
        if source is DepthSource.SENSOR:
            assert scene.depth == sensor
        else:
            assert known.all()
    config = STUB.with_values({'depth.source': 'sensor'})
    assert EvaluationPipeline.load(config).process(truth).scene.depth is None
    with raises(ConfigError, 'conflicting_flags', match=r'Set depth\.source=model'):
        EvaluationPipeline.load(config, ('depth',))


def test_frames_are_independent_of_each_other():
    """Neither the fit of the depth of an earlier frame nor its tracks go on."""
    config = STUB.with_values({'depth.source': 'fused', 'tracking.enabled': True})
    near, far = example_truth(0), example_truth(1)
    three_times = MetricDepth(3 * far.depth.meters)
    alone = EvaluationPipeline.load(config).process(far, three_times).scene
    pipeline = EvaluationPipeline.load(config)
    pipeline.process(near, near.depth)
    after = pipeline.process(far, three_times).scene
    assert after.depth == alone.depth
    assert after.detections == alone.detections
