"""A pipeline that loads the state of another computes what the other would have computed."""

import json

import numpy as np
import pytest

from robot_perception.conversions import RosbagsFactory, scene_message
from robot_perception.conversions.header import header_message
from robot_perception.conversions.timing import FrameTiming
from robot_perception.core import CameraModel, Image, MetricDepth
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.sources.typestore import message_store

TYPES = message_store()
MAKE = RosbagsFactory(TYPES)
CAMERA = CameraModel.nominal((48, 64), 60.0)


def make_pipeline():
    return PerceptionPipeline.from_preset(
        'stub', {'depth.source': 'fused', 'features.every_k': 3, 'depth.every_k': 2}
    )


def serialize(scene):
    message = scene_message(
        MAKE, header_message(MAKE, scene.image.stamp_ns, 'camera'), scene, FrameTiming.unknown()
    )
    return bytes(TYPES.serialize_cdr(message, 'robot_perception/msg/Scene'))


def process(pipeline, index):
    random = np.random.default_rng(index)
    image = Image(random.integers(0, 256, (48, 64, 3), np.uint8), stamp_ns=index * 10**8)
    sensor = MetricDepth.from_meters(random.uniform(0.5, 4.0, (48, 64)).astype(np.float32))
    return serialize(pipeline.process(image, CAMERA, sensor_depth=sensor))


@pytest.mark.parametrize('pause', [1, 3, 4, 8])
def test_a_pause_changes_nothing(pause):
    complete, first, second = make_pipeline(), make_pipeline(), make_pipeline()
    expected = [process(complete, index) for index in range(1, 11)]
    got = [process(first, index) for index in range(1, pause + 1)]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert got + [process(second, index) for index in range(pause + 1, 11)] == expected
    # The state matters: without it the results differ.
    fresh = make_pipeline()
    assert [process(fresh, index) for index in range(pause + 1, 11)] != expected[pause:]
