"""The recorder beside a real node: every message, by frame."""

import pytest

pytest.importorskip('rclpy')

from graph import FACTORY, LATCHED, random_rgb, SECOND_NS, to_camera_info, to_image_message, TYPES

from robot_perception.conversions import ros
from robot_perception.nodes.messages import message_class
from robot_perception.nodes.recorder import RecordedFrame, Recorder
from robot_perception.stream import LABEL_INFO

pytestmark = pytest.mark.ros


@pytest.fixture
def recorder(graph):
    made = Recorder(context=graph.context)
    graph.nodes.append(made)
    graph.executor.add_node(made)
    return made


def output_times(**arrivals_s):
    return RecordedFrame(arrivals_s=arrivals_s)


@pytest.mark.parametrize(
    ('arrivals_s', 'delay_s'),
    [
        ({}, None),
        ({'image': 1.0}, None),
        ({'depth': 1.5}, None),
        ({'image': 1.0, 'depth': 1.5, 'scene': 1.75}, 0.75),
        # The image may reach the recorder after the node's first output does.
        ({'image': 1.0, 'depth': 0.5}, -0.5),
    ],
)
def test_delay_is_that_of_the_last_output(arrivals_s, delay_s):
    assert output_times(**arrivals_s).delay_s == delay_s


def test_every_message_of_the_node_is_recorded(graph, recorder):
    graph.start()
    graph.spin_until(lambda: recorder.ready, 'label info')
    image = graph.publisher('image', 'sensor_msgs/msg/Image')
    info = graph.publisher('camera_info', 'sensor_msgs/msg/CameraInfo')
    graph.spin_until(lambda: image.get_subscription_count() == 2, 'both readers of the image')
    graph.spin_until(lambda: info.get_subscription_count() == 1, 'reader of the calibration')
    # The node takes on the reliability of the camera.
    graph.spin(0.5)
    info.publish(to_camera_info())
    graph.wait_for_camera_info()
    count = 10
    for number in range(1, count + 1):
        image.publish(to_image_message(random_rgb(number), number * SECOND_NS))
        graph.spin_until(
            lambda n=number: all(recorder.counts[topic] == n for topic in ('image', *TYPES)),
            f'frame {number}',
        )
    assert recorder.counts == dict.fromkeys(('image', *TYPES), count)
    assert len(recorder.delays_s) == count
    assert recorder.complete.messages.keys() == {'image', *TYPES}
    assert recorder.complete.messages['scene'].header.stamp.sec == count
    assert recorder.complete.messages['image'].header.stamp.sec == count
    # Only the last frames are held; an hour of them would not fit.
    assert len(recorder.recent) == 8
    assert recorder.scenes == {}
    graph.spin_until(lambda: recorder.counters.get('published') == str(count), 'account')
    assert recorder.counters['received'] == str(count)


def test_a_frame_with_more_outputs_is_not_replaced_by_one_with_fewer(graph, recorder):
    full = graph.publisher('perception/scene', TYPES['scene'])
    half = graph.publisher('perception/detections', TYPES['detections'])
    image = graph.publisher('image', 'sensor_msgs/msg/Image')
    graph.spin_until(
        lambda: all(one.get_subscription_count() for one in (full, half, image)), 'recorder'
    )
    for second, publishers in ((1, (full, half)), (2, (half,)), (3, (full, half)), (4, ())):
        image_message = to_image_message(random_rgb(), second * SECOND_NS)
        image.publish(image_message)
        for publisher in publishers:
            message = publisher.msg_type()
            message.header = image_message.header
            publisher.publish(message)
        graph.spin_until(lambda n=second: recorder.counts['image'] == n, 'image')
        graph.spin(0.2)
        assert recorder.complete.messages['image'].header.stamp.sec == {2: 1, 4: 3}.get(
            second, second
        )
    assert len(recorder.delays_s) == 3


def test_scenes_of_the_whole_recording_are_kept_with_their_images_and_nothing_else(graph):
    recorder = Recorder(context=graph.context, max_scenes=2)
    graph.nodes.append(recorder)
    graph.executor.add_node(recorder)
    types = {'image': 'sensor_msgs/msg/Image', 'scene': TYPES['scene'], 'points': TYPES['points']}
    names = {'image': 'image', 'scene': 'perception/scene', 'points': 'perception/points'}
    publishers = {topic: graph.publisher(names[topic], kind) for topic, kind in types.items()}
    graph.spin_until(
        lambda: all(one.get_subscription_count() for one in publishers.values()), 'recorder'
    )
    # The second has no scene; that of the third is published before its image.
    orders = ((1, 'points', 'image', 'scene'), (2, 'image'), (3, 'scene', 'image'), (4, *names))
    for second, *topics in orders:
        for topic in topics:
            count = recorder.counts[topic]
            message = publishers[topic].msg_type()
            message.header.stamp.sec = second
            publishers[topic].publish(message)
            graph.spin_until(lambda t=topic, n=count: recorder.counts[t] == n + 1, topic)
    # Of three frames every second.
    assert list(recorder.scenes) == [1 * SECOND_NS, 4 * SECOND_NS]
    for stamp_ns, frame in recorder.scenes.items():
        assert frame.messages.keys() == {'image', 'scene'}
        for message in frame.messages.values():
            assert message.header.stamp.sec * SECOND_NS == stamp_ns


def test_markers_without_a_marker_belong_to_no_frame(graph, recorder):
    markers = graph.publisher('perception/markers', TYPES['markers'])
    graph.spin_until(markers.get_subscription_count, 'recorder')
    markers.publish(message_class(TYPES['markers'])())
    graph.spin_until(lambda: recorder.counts['markers'] == 1, 'markers')
    assert recorder.complete is None


def test_ready_only_when_the_node_is(graph, recorder):
    graph.spin(0.2)
    assert not recorder.ready
    labels = graph.publisher(f'perception/{LABEL_INFO}', 'vision_msgs/msg/LabelInfo', qos=LATCHED)
    labels.publish(FACTORY(ros.LabelInfo))
    graph.spin_until(lambda: recorder.ready, 'label info')
