"""Masks of the detector, over DDS."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from checkpoints import MASK_DETECTORS, sample_image, write_detector
from graph import SECOND_NS, to_image_message

from robot_perception.pipeline import PerceptionPipeline

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_masks_of_the_detector_are_published(graph, tmp_path):
    folder = write_detector(tmp_path, 'rf_detr', MASK_DETECTORS)
    values = {
        'detector.model': str(folder),
        'detector.threshold': 0.02,
        'segmenter.model': 'detector',
        'device': 'cpu',
        'runtime': 'torch',
        'cpu_threads': 1,
    }
    graph.start(**{name.replace('.', '__'): value for name, value in values.items()})
    publisher = graph.publisher('/image', 'sensor_msgs/msg/Image')
    graph.subscribe('/perception/masks/instances', 'sensor_msgs/msg/Image', name='masks')
    graph.connect(publisher)
    rgb = sample_image(48, 64).rgb
    publisher.publish(to_image_message(rgb, 7 * SECOND_NS))
    graph.spin_until(lambda: graph.received['masks'], 'masks')
    (message,) = graph.received['masks']
    painted = np.frombuffer(bytes(message.data), np.uint16).reshape(48, 64)
    expected = PerceptionPipeline.from_preset('stub', values).process(rgb).masks.instance_map()
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(painted, expected)
