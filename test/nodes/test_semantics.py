"""The class of every pixel, and the ground of a costmap, over DDS."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from graph import LATCHED, random_rgb, RELIABLE, SECOND_NS, to_camera_info, to_image_message
from prompted_checkpoints import write_clipseg
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


@pytest.mark.slow
def test_labels_change_while_frames_go_on(graph, tmp_path):
    node = graph.start(
        features__enabled=False,
        depth__enabled=False,
        detector__enabled=False,
        segmenter__enabled=False,
        semantics__enabled=True,
        semantics__model=str(write_clipseg(tmp_path / 'clipseg')),
        semantics__labels='floor, red cup',
        semantics__threshold=0.0,
    )
    image = graph.publisher('/image', IMAGE, RELIABLE)
    graph.subscribe('/perception/semantics/classes', IMAGE, name='classes')
    graph.subscribe('/perception/semantics/label_info', LABELS, LATCHED, name='names')
    graph.connect(image)
    frames, labels = graph.received['classes'], graph.received['names']

    def names():
        return {one.class_id: one.class_name for one in labels[-1].class_map}

    def classified(second):
        """Return the classes in the next frame."""
        count = len(frames)
        image.publish(to_image_message(random_rgb(), second * SECOND_NS))
        graph.spin_until(lambda: len(frames) > count, 'a frame')
        return set(bytes(frames[-1].data))

    def change(value):
        (result,) = node.set_parameters([Parameter('semantics.labels', value=value)])
        return result.reason

    graph.spin_until(lambda: labels, 'label info')
    assert names() == {0: 'floor', 1: 'red cup'}
    assert classified(1) <= {0, 1}
    assert not change('wall, FLOOR')
    graph.spin_until(lambda: len(labels) == 2, 'label info')
    assert names() == {0: 'floor', 1: 'red cup', 2: 'wall'}
    assert classified(2) <= {0, 2}
    for bad, message in (
        ('', 'semantics.labels: expected the classes of pixels'),
        ('very ' * 100, 'at most 16 tokens'),
        ('x ' * 5000, 'at most 1024 printable characters'),
    ):
        assert message in change(bad)
    assert not change('чаша')
    assert classified(3) == {3}
    assert graph.counts().dropped == {}
    for transition in ('deactivate', 'cleanup', 'configure', 'activate'):
        assert getattr(node, f'trigger_{transition}')().name == 'SUCCESS'
    graph.spin_until(lambda: len(labels) == 4, 'label info after cleanup')
    assert names() == {0: 'floor', 1: 'red cup', 2: 'wall', 3: 'чаша'}
