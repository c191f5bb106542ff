"""What Foxglove gets of a scene, read back from its own mcap file."""

import cv2
import numpy as np
import pytest

foxglove = pytest.importorskip('foxglove')

from scenes import example_scene

from robot_perception.sources import open_source, Role
from robot_perception.viewer.foxglove_target import _CHANNELS, scene_to_messages

SIZE_HW = (48, 64)


@pytest.fixture
def scene():
    return example_scene(3, SIZE_HW)


def test_every_result_has_its_topic(scene):
    assert scene_to_messages(scene).keys() == _CHANNELS.keys()


def test_image_and_calibration_are_read_back(scene, tmp_path):
    path = tmp_path / 'scene.mcap'
    context = foxglove.Context()
    with foxglove.open_mcap(path, context=context):
        for topic, message in scene_to_messages(scene).items():
            _CHANNELS[topic](topic, context=context).log(message, log_time=scene.image.stamp_ns)
    with open_source(str(path)) as source:
        samples = {sample.role: sample for sample in source}
    assert {Role.COMPRESSED_IMAGE, Role.CAMERA_INFO} <= samples.keys()
    assert samples[Role.CAMERA_INFO].stamp_ns == scene.image.stamp_ns


def test_points_are_those_of_the_cloud(scene):
    message = scene_to_messages(scene)['/points'].encode()
    xyz, _ = scene.cloud().known()
    # The bytes of the points are in the message as they are.
    assert np.float32(xyz[0, 0]).tobytes() + np.float32(xyz[0, 1]).tobytes() in message


def test_the_image_keeps_its_size(scene):
    data = scene_to_messages(scene)['/image'].encode()
    start = data.index(b'\xff\xd8\xff')
    pixels = cv2.imdecode(np.frombuffer(data[start:], np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape[:2] == SIZE_HW
