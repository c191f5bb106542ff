"""A detector in an ONNX file, over DDS and offline."""

from bags import generated_frames, RgbdFrame, write_rgbd_bag
import numpy as np
from onnx_detectors import CLASSES, write_color_detector
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('onnxruntime', reason='an extra')

from live import play

from robot_perception.bag import BagJob, process_bags, read_results
from robot_perception.core import Image
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline

pytestmark = [pytest.mark.ros, pytest.mark.slow]

SIZE_HW = (48, 64)
SHADES = [(230, 40, 20), (30, 210, 20), (10, 20, 250)]
# The letterboxed image begins 8 pixels below the top of the input of 64x64.
BOX = [8, 8, 24, 32]


@pytest.fixture
def model(tmp_path):
    return write_color_detector(tmp_path / 'best.onnx')


@pytest.fixture
def frames():
    return [
        RgbdFrame(np.full((*SIZE_HW, 3), shade[::-1], np.uint8), None, frame.camera)
        for shade, frame in zip(SHADES, generated_frames(3, SIZE_HW), strict=True)
    ]


def corners(message):
    center, size = message.bbox.center.position, message.bbox
    half = size.size_x / 2, size.size_y / 2
    return [center.x - half[0], center.y - half[1], center.x + half[0], center.y + half[1]]


def test_node_and_bag_give_the_objects_of_the_library(graph, tmp_path, model, frames):
    values = {'detector.model': str(model), 'detector.threshold': 0.3, 'device': 'cpu'}
    write_rgbd_bag(tmp_path / 'bag', frames)
    play(graph, tmp_path / 'bag', **{name.replace('.', '__'): one for name, one in values.items()})
    config = PerceptionConfig.from_preset('stub', values)
    process_bags(BagJob((tmp_path / 'bag',), tmp_path / 'results', config, topics=('scene',)))
    scenes = [item.scene for item in read_results(tmp_path / 'results')]
    pipeline = PerceptionPipeline.load(config)
    rows = zip(frames, graph.received['detections'], scenes, CLASSES, strict=True)
    for frame, message, scene, name in rows:
        image = Image(np.ascontiguousarray(frame.bgr[..., ::-1]))
        expected = pipeline.process(image, frame.camera).detections
        assert expected.class_names == scene.detections.class_names == (name,)
        (live,) = message.detections
        assert live.results[0].hypothesis.class_id == name
        assert live.results[0].hypothesis.score == pytest.approx(expected.scores[0], abs=1e-6)
        np.testing.assert_allclose(corners(live), expected.boxes_xyxy[0], atol=1e-4)
        np.testing.assert_allclose(expected.boxes_xyxy, [BOX], atol=1e-4)
        np.testing.assert_allclose(scene.detections.boxes_xyxy, expected.boxes_xyxy, atol=1e-4)
        np.testing.assert_allclose(scene.detections.scores, expected.scores, atol=1e-6)
