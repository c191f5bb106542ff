"""Classes of the whole image over DDS, whose labels change while the node runs."""

import pytest

pytest.importorskip('rclpy')

from graph import LATCHED, random_rgb, RELIABLE, SECOND_NS, to_image_message
from rclpy.parameter import Parameter

pytestmark = pytest.mark.ros

LABEL_INFO = '/perception/scene_class/label_info'


@pytest.mark.slow
def test_labels_change_from_the_next_frame_on(graph):
    graph.start(scene__enabled=True, scene__labels='kitchen, office', detector__enabled=False)
    graph.subscribe(
        '/perception/scene_class', 'vision_msgs/msg/Classification', RELIABLE, name='classes'
    )
    graph.subscribe_outputs('scene')
    graph.subscribe(LABEL_INFO, 'vision_msgs/msg/LabelInfo', LATCHED)
    image = graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE)
    graph.connect(image)
    infos = graph.received[LABEL_INFO]
    graph.spin_until(lambda: infos, 'label info')

    def numbered():
        return {one.class_id: one.class_name for one in infos[-1].class_map}

    def classify(second):
        """Return the classes of the next frame, in which the scores add up to 1."""
        image.publish(to_image_message(random_rgb(), second * SECOND_NS))
        parts = (graph.received['classes'], graph.received['scene'])
        graph.spin_until(lambda: min(map(len, parts)) == second, 'a frame')
        alone, scene = (part[-1] for part in parts)
        assert alone.header == scene.header
        assert alone.header.stamp.sec == second
        assert alone.results == scene.scene_classes
        assert sum(one.score for one in alone.results) == pytest.approx(1, abs=1e-5)
        return {one.class_id for one in alone.results}

    assert numbered() == {0: 'kitchen', 1: 'office'}
    assert classify(1) == {'kitchen', 'office'}
    (result,) = graph.node.set_parameters([Parameter('scene.labels', value='hall, yard, lab')])
    assert result.successful
    assert classify(2) == {'hall', 'yard', 'lab'}
    graph.spin_until(lambda: len(infos) > 1, 'label info')
    assert numbered() == {0: 'hall', 1: 'yard', 2: 'lab'}
