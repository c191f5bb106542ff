from dataclasses import replace
import json
import math

import numpy as np
import pytest
from reasons import raises

from robot_perception.core import (
    Box3D,
    CameraModel,
    ConfigError,
    DepthSource,
    Detections,
    Image,
    ObjectPosition,
    SceneObject,
)
from robot_perception.models import StubDepthEstimator, StubDetector, StubSegmenter
from robot_perception.pipeline import (
    LocatedObjects,
    LocationError,
    LocationUncertainty,
    PerceptionConfig,
    PerceptionPipeline,
    ScoreCalibration,
)

CAMERA = CameraModel.nominal((480, 640), 62.0)
ON_AXIS = ObjectPosition(
    2.0, (0.0, 0.0, 2.0), np.diag([0.01, 0.04, 0.09]), Box3D((0.0, 0.0, 2.0), (0.1, 0.1, 0.1))
)
ITEM = SceneObject(0, 0, 'cup', 0.9, (300, 200, 340, 240), position=ON_AXIS)


def covariance(error, filled=0.0, mask_score=0.9, area_px=5000):
    objects = LocatedObjects(
        np.array([ON_AXIS.centroid_m]),
        np.array([ON_AXIS.depth_m]),
        ON_AXIS.points_covariance_m2[None],
        np.array([ITEM.score]),
        np.array([mask_score]),
        np.array([area_px]),
        np.array([filled]),
        CAMERA.fx,
    )
    (result,) = error.covariances(objects)
    return result


def test_range_pixels_and_spread_add_up_on_the_optical_axis():
    pixel_m = 2.0 / CAMERA.fx
    np.testing.assert_allclose(
        covariance(LocationError(0.05, 3.0, 0.0, 0.0)),
        np.diag([0, 0, 0.1**2]) + (3 * pixel_m) ** 2 * np.eye(3),
    )
    np.testing.assert_allclose(
        covariance(LocationError(0.0, 0.0, 0.0, 0.5)), 0.25 * ON_AXIS.points_covariance_m2
    )
    filled = covariance(LocationError(0.0, 0.0, 0.1, 0.0), filled=0.5)
    np.testing.assert_allclose(filled, np.diag([0, 0, 0.1**2]), atol=1e-15)


def test_the_share_of_the_spread_follows_the_powers():
    error = LocationError(0.0, 0.0, 0.0, 1.0, mask_power=1.0, score_power=0.5, area_power=-1.0)
    share = 0.2 * math.sqrt(0.1) / 2
    np.testing.assert_allclose(
        covariance(error, mask_score=0.8, area_px=10000),
        share**2 * ON_AXIS.points_covariance_m2,
        rtol=1e-6,
    )


def test_tails_widen_all_but_the_range():
    without_range = LocationError(0.0, 1.0, 0.02, 0.5)
    np.testing.assert_allclose(
        covariance(replace(without_range, range_share=0.05, tail_scale=1.5), filled=0.4),
        covariance(LocationError(0.05, 0.0, 0.0, 0.0)) + 2.25 * covariance(without_range, 0.4),
        rtol=1e-12,
    )


@pytest.mark.parametrize('source', DepthSource)
def test_only_the_demo_networks_are_calibrated(source):
    for preset, calibrated in (('demo', True), ('stub', False), ('robot', False)):
        uncertainty = LocationUncertainty.from_config(PerceptionConfig.from_preset(preset))
        (item,) = uncertainty.add((ITEM,), None, source, CAMERA, None)
        assert item.position.covariance_calibrated is calibrated
        assert (np.linalg.eigvalsh(item.position.covariance_m2) > 0).all()


@pytest.mark.parametrize('small_inputs', [False, True])
def test_the_calibration_is_that_of_the_usual_inputs(small_inputs):
    config = PerceptionConfig.from_preset('demo', {'small_inputs': small_inputs})
    pipeline = PerceptionPipeline(
        config, depth=StubDepthEstimator(), detector=StubDetector(), segmenter=StubSegmenter()
    )
    scene = pipeline.process(Image(np.full((480, 640, 3), 90, np.uint8)), CAMERA)
    positions = [item.position for item in scene.objects if item.position is not None]
    assert positions
    assert {one.covariance_calibrated for one in positions} == {not small_inputs}


def test_without_depth_or_calibration_the_uncertainty_is_unknown():
    uncertainty = LocationUncertainty.from_config(PerceptionConfig.from_preset('stub'))
    assert uncertainty.add((ITEM,), None, None, CAMERA, None) == (ITEM,)
    assert uncertainty.add((ITEM,), None, DepthSource.MODEL, None, None) == (ITEM,)


def test_scores_keep_their_order_and_thresholds_are_inverted():
    scores = np.linspace(0.99, 0.01, 50, dtype=np.float32)
    found = Detections(
        np.tile(np.array([0, 0, 9, 9], np.float32), (50, 1)),
        scores,
        np.zeros(50, np.int32),
        ('cup',) * 50,
    )
    calibration = ScoreCalibration(2.2, -0.4)
    calibrated = calibration.apply(found).scores
    odds = 2.2 * np.log(scores / (1 - scores)) - 0.4
    np.testing.assert_allclose(calibrated, 1 / (1 + np.exp(-odds)), rtol=1e-5)
    assert (np.diff(calibrated) < 0).all()
    assert calibration.raw(float(calibrated[20])) == pytest.approx(float(scores[20]), rel=1e-5)
    assert ScoreCalibration().apply(found) is found
    assert [calibration.raw(0.0), ScoreCalibration().raw(0.3)] == [0.0, 0.3]


def test_a_detector_brings_its_calibration_in_its_folder(tmp_path):
    config = PerceptionConfig.from_preset('stub', {'detector.model': str(tmp_path)})
    assert ScoreCalibration.from_config(config) == ScoreCalibration()
    values = {'slope': 2.0, 'offset': -1.0}
    fitted = {'schema': BOTH, 'version': 1, 'score_calibration': values}
    (tmp_path / 'score_calibration.json').write_text(json.dumps(fitted))
    assert ScoreCalibration.from_config(config) == ScoreCalibration(2.0, -1.0)
    own = tmp_path / 'own.json'
    own.write_text(json.dumps({'schema': SCORES, 'version': 1, 'slope': 3.0, 'offset': 0.0}))
    config = config.with_values({'detector.calibration': str(own)})
    assert ScoreCalibration.from_config(config) == ScoreCalibration(3.0, 0.0)
    demo = ScoreCalibration.from_config(PerceptionConfig.from_preset('demo'))
    assert demo != ScoreCalibration()


BOTH = 'robot_perception/calibration'
DEPTH, SCORES = 'robot_perception/depth_calibration', 'robot_perception/score_calibration'


@pytest.mark.parametrize(
    ('name', 'text', 'reason'),
    [
        ('depth', None, 'missing_file'),
        ('depth', '{', 'damaged'),
        ('depth', '[]', 'wrong_schema'),
        ('depth', json.dumps({'schema': SCORES, 'version': 1}), 'wrong_schema'),
        ('depth', json.dumps({'schema': DEPTH, 'version': 1, 'sources': 3}), 'damaged'),
        ('depth', json.dumps({'schema': DEPTH, 'version': 1, 'sources': {}}), 'damaged'),
        (
            'depth',
            json.dumps({'schema': DEPTH, 'version': 1, 'sources': {'lidar': {}}}),
            'damaged',
        ),
        ('depth', json.dumps({'schema': BOTH, 'version': 1}), 'missing_part'),
        (
            'depth',
            json.dumps({'schema': BOTH, 'version': 2, 'depth_calibration': {}}),
            'wrong_schema',
        ),
        (
            'detector',
            json.dumps({'schema': BOTH, 'version': 1, 'depth_calibration': {}}),
            'missing_part',
        ),
        ('detector', None, 'missing_file'),
        ('detector', json.dumps({'schema': SCORES, 'version': 2}), 'wrong_schema'),
        ('detector', json.dumps({'schema': SCORES, 'version': 1, 'slope': 'a'}), 'damaged'),
        (
            'detector',
            json.dumps({'schema': SCORES, 'version': 1, 'slope': 1, 'offset': float('nan')}),
            'damaged',
        ),
        (
            'detector',
            json.dumps({'schema': SCORES, 'version': 1, 'slope': -1, 'offset': 0}),
            'out_of_range',
        ),
    ],
)
def test_unusable_files_are_named(tmp_path, name, text, reason):
    path = tmp_path / 'calibration.json'
    if text is not None:
        path.write_text(text)
    config = PerceptionConfig.from_preset('stub', {f'{name}.calibration': str(path)})
    kind = LocationUncertainty if name == 'depth' else ScoreCalibration
    with raises(ConfigError, reason, match=f'{name}.calibration'):
        kind.from_config(config)
