"""Outputs that follow from the class of each pixel."""

from dataclasses import replace

import numpy as np
import pytest
from reasons import raises

from robot_perception.bag import BagJob
from robot_perception.conversions import (
    camera_info_message,
    header_message,
    image_message,
    RosbagsFactory,
    to_scene,
)
from robot_perception.core import (
    CameraModel,
    ConfigError,
    MetricDepth,
    NO_CLASS,
    Semantics,
)
from robot_perception.models import StubSemanticSegmenter
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.sources import message_store
from robot_perception.stream import (
    CameraTopics,
    FrameProcessor,
    FrameSet,
    MessageTime,
    OUTPUTS,
    stages_for,
)

SIZE_HW = (60, 80)
CAMERA = CameraModel.nominal(SIZE_HW, 60)
FACTORY = RosbagsFactory(message_store())
BY_TOPIC = {output.topic: output for output in OUTPUTS}
# Classes 0, 1 and 2 of the stub, from above.
BANDS = np.repeat(np.eye(3, dtype=np.uint8) * 200, 20, axis=0)[:, None].repeat(80, axis=1)
CLASSES = np.repeat(np.arange(3), 20)[:, None].repeat(80, axis=1)


class Floor:
    """Depth of a floor 0.5 m below a level camera, with a wall 4 m ahead."""

    def estimate(self, _):
        falling = CAMERA.rays()[..., 1]
        with np.errstate(divide='ignore'):
            far = np.where(falling > 0, 0.5 / falling, np.inf)
        return MetricDepth(np.minimum(far, 4.0).astype(np.float32))


class Panoptic(StubSemanticSegmenter):
    """Has an object in the second band, and pixels of no class in the third."""

    def segment(self, image):
        classes = super().segment(image).classes.copy()
        classes[50:] = NO_CLASS
        instances = np.zeros(SIZE_HW, np.uint16)
        instances[25:35, 10:20] = 3
        return Semantics('stub', classes, tuple(self.class_names), instances)


class Thousand(StubSemanticSegmenter):
    """Has more classes than fit in 8 bits."""

    class_names = tuple(f'class {index}' for index in range(1000))

    def segment(self, image):
        classes = super().segment(image).classes + np.uint16(990)
        classes[:5] = NO_CLASS
        return Semantics('stub', classes, self.class_names)


def process(network=None, **parameters):
    named = {'semantics.enabled': True, 'detector.enabled': False}
    named |= {name.replace('__', '.'): value for name, value in parameters.items()}
    config = PerceptionConfig.from_preset('stub', named)
    semantics = (network or StubSemanticSegmenter()) if config.semantics.enabled else None
    pipeline = PerceptionPipeline(config, depth=Floor(), semantics=semantics)
    header = header_message(FACTORY, 10**9, 'camera')
    frame_set = FrameSet(
        image_message(FACTORY, header, BANDS, 'rgb8'),
        MessageTime(10**9, 10**9, 10**9),
        CameraTopics('/image'),
        camera_info_message(FACTORY, header, CAMERA),
        depth=lambda: None,
        depth_camera_info=lambda: None,
        lookup=lambda *_: None,
    )
    return FrameProcessor(pipeline, FACTORY).process(frame_set, OUTPUTS).output


def pixels(message):
    dtype = {'mono8': np.uint8, 'mono16': '<u2'}[message.encoding]
    return np.frombuffer(bytes(message.data), dtype).reshape(message.height, message.width)


def points(message):
    records = np.frombuffer(bytes(message.data), np.uint8).reshape(-1, message.point_step)
    values = records.view('<f4'), records.view('<u4')
    return values[0][:, :3], values[1][:, 4:]


def test_few_classes_have_8_bits():
    frame = process(Panoptic())
    message = BY_TOPIC['semantics/classes'].make(frame)
    assert message.encoding == 'mono8'
    expected = CLASSES.copy()
    expected[50:] = 255
    np.testing.assert_array_equal(pixels(message), expected)
    objects = pixels(BY_TOPIC['semantics/instances'].make(frame))
    assert (objects == 3).sum() == 100
    assert BY_TOPIC['semantics/instances'].make(process()) is None


def test_many_classes_have_16_bits():
    message = BY_TOPIC['semantics/classes'].make(process(Thousand()))
    assert message.encoding == 'mono16'
    expected = CLASSES + 990
    expected[:5] = 65535
    np.testing.assert_array_equal(pixels(message), expected)


@pytest.mark.parametrize('network', [StubSemanticSegmenter, Panoptic, Thousand])
def test_a_scene_has_the_classes_in_its_message(network):
    frame = process(network())
    found = to_scene(BY_TOPIC['scene'].make(frame), frame.scene.image)
    assert found.semantics == frame.scene.semantics


def test_the_ground_by_its_class():
    frame = process(points__ground_classes='Stub Blue, stub green')
    ground, _ = points(BY_TOPIC['points/ground'].make(frame))
    obstacles, _ = points(BY_TOPIC['points/obstacles'].make(frame))
    assert (len(ground), len(obstacles)) == (40 * 80, 20 * 80)
    assert ground[:, 1].min() > obstacles[:, 1].max()


def test_pixels_of_no_class_are_obstacles():
    frame = process(Panoptic(), points__ground_classes='stub blue')
    ground, _ = points(BY_TOPIC['points/ground'].make(frame))
    assert len(ground) == 10 * 80


@pytest.mark.parametrize('enabled', [True, False])
def test_the_ground_by_its_plane(enabled):
    frame = process(semantics__enabled=enabled, points__remove_ground=True)
    ground, _ = points(BY_TOPIC['points/ground'].make(frame))
    obstacles, _ = points(BY_TOPIC['points/obstacles'].make(frame))
    assert len(ground) + len(obstacles) == 60 * 80
    np.testing.assert_allclose(ground[:, 1], 0.5, atol=0.04)
    assert obstacles[:, 1].max() < 0.475
    assert BY_TOPIC['points/ground'].make(process(semantics__enabled=enabled)) is None


def test_frames_between_have_no_ground_of_another_rule():
    options = {'semantics.every_k': 2, 'points.ground_classes': 'stub blue'}
    options |= {'points.remove_ground': True}
    named = {name.replace('.', '__'): value for name, value in options.items()}
    first = process(**named)
    assert BY_TOPIC['points/ground'].make(first) is not None
    without = replace(first, scene=replace(first.scene, semantics=None))
    assert BY_TOPIC['points/ground'].make(without) is None


def test_a_class_that_the_network_lacks_is_refused():
    with raises(ConfigError, 'unknown_class', 'points.ground_classes.*Nearest: stub green'):
        process(points__ground_classes='stub greem')


def test_points_are_labeled_without_a_detector():
    message = BY_TOPIC['points'].make(process(Panoptic(), points__labels=True))
    _, labels = points(message)
    expected = CLASSES + 1
    expected[50:] = 0
    np.testing.assert_array_equal(labels[:, 0], expected.ravel())
    assert (labels[:, 1] == 3).sum() == 100


def test_stages_run_that_an_output_needs():
    config = PerceptionConfig.from_preset(
        'stub', {'semantics.enabled': True, 'points.ground_classes': 'stub blue'}
    )
    plain = PerceptionConfig.from_preset('stub', {})
    assert stages_for((BY_TOPIC['points/ground'],), config) == {'depth', 'semantics'}
    assert stages_for((BY_TOPIC['points/ground'],), plain) == {'depth'}
    assert stages_for((BY_TOPIC['semantics/classes'],), plain) == {'semantics'}


def test_bags_have_the_outputs_that_are_computed(tmp_path):
    def topics(**options):
        config = PerceptionConfig.from_preset('stub', options)
        job = BagJob((tmp_path / 'in',), tmp_path / 'out', config)
        return {output.topic for output in job.outputs}

    added = {'semantics/classes', 'semantics/instances'}
    assert topics(**{'semantics.enabled': True}) == topics() | added
    added = {'points/ground', 'points/obstacles'}
    assert topics(**{'points.remove_ground': True}) == topics() | added
    off = {f'{stage}.enabled': False for stage in ('features', 'depth', 'detector', 'segmenter')}
    assert topics(**off) == {'scene'}
