"""The class of every pixel, and the ground of a costmap, over DDS."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from graph import LATCHED, random_rgb, SECOND_NS, to_camera_info, to_image_message
from rclpy.parameter import Parameter

pytestmark = pytest.mark.ros

IMAGE, CLOUD, LABELS = (
    'sensor_msgs/msg/Image',
    'sensor_msgs/msg/PointCloud2',
    'vision_msgs/msg/LabelInfo',
)
TYPES = {
    'semantics/classes': IMAGE,
    'points/ground': CLOUD,
    'points/obstacles': CLOUD,
}


def test_classes_and_their_names(graph):
    graph.start(semantics__enabled=True, points__ground_classes='stub green')
    image = graph.publisher('/image', IMAGE)
    info = graph.publisher('/camera_info', 'sensor_msgs/msg/CameraInfo')
    for topic, type_name in TYPES.items():
        graph.subscribe(f'/perception/{topic}', type_name, name=topic)
    graph.subscribe('/perception/semantics/label_info', LABELS, LATCHED, name='names')
    graph.connect(image)
    graph.connect(info)
    info.publish(to_camera_info())
    graph.wait_for_camera_info()
    rgb = random_rgb()
    image.publish(to_image_message(rgb, 7 * SECOND_NS))
    graph.spin_until(lambda: all(graph.received[name] for name in (*TYPES, 'names')), 'outputs')
    (classes,), (names,) = graph.received['semantics/classes'], graph.received['names']
    table = {one.class_id: one.class_name for one in names.class_map}
    assert table == {0: 'stub red', 1: 'stub green', 2: 'stub blue'}
    found = np.frombuffer(bytes(classes.data), np.uint8).reshape(classes.height, classes.width)
    np.testing.assert_array_equal(found, rgb.argmax(axis=-1))
    assert classes.header.stamp.sec == 7
    (ground,), (obstacles,) = graph.received['points/ground'], graph.received['points/obstacles']
    assert ground.width == (found == 1).sum()
    assert ground.width + obstacles.width == found.size


def test_an_unknown_class_of_the_ground_is_refused(graph):
    node = graph.start(semantics__enabled=True)
    graph.spin(0.5)
    (result,) = node.set_parameters([Parameter('points.ground_classes', value='stub greem')])
    assert not result.successful
    assert 'stub green' in result.reason
    (result,) = node.set_parameters([Parameter('points.ground_classes', value='stub green')])
    assert result.successful
