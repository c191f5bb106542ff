"""Prompts that change while the node runs, over DDS."""

import pytest

pytest.importorskip('rclpy')

from graph import LATCHED, random_rgb, RELIABLE, SECOND_NS, to_image_message
from prompted_checkpoints import write_prompted
from rclpy.parameter import Parameter
from tiny_describers import write_florence2_detector

from robot_perception.nodes.messages import message_class

pytestmark = pytest.mark.ros

SERVICE = 'robot_perception/srv/SetPrompts'
LABEL_INFO = '/perception/label_info'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A checkpoint that takes prompts."""
    return write_prompted(tmp_path_factory.mktemp('prompted') / 'owlvit', 'owlvit')


@pytest.fixture
def ask(graph):
    """Return a function that asks a running node to detect something else."""
    service = message_class(SERVICE)
    client = graph.subscriber.create_client(service, '/perception/set_prompts')

    def request(*prompts):
        graph.spin_until(client.service_is_ready, 'service')
        answer = client.call_async(service.Request(prompts=list(prompts)))
        graph.spin_until(answer.done, 'answer')
        return answer.result().success, answer.result().message

    return request


@pytest.fixture
def prompted(graph, folder):
    """A node that detects a red cup and a chair."""
    return graph.start(
        features__enabled=False,
        depth__enabled=False,
        segmenter__enabled=False,
        detector__model=str(folder),
        detector__prompts='red cup, chair',
        detector__threshold=0.01,
        detector__max_overlap=1.0,
        detector__max_objects=100,
    )


def names(message):
    return {one.class_id: one.class_name for one in message.class_map if one.class_id}


@pytest.mark.slow
def test_prompts_change_while_frames_go_on(graph, prompted, ask):
    graph.subscribe_outputs('detections')
    graph.subscribe(LABEL_INFO, 'vision_msgs/msg/LabelInfo', LATCHED)
    image = graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE)
    graph.connect(image)
    labels = graph.received[LABEL_INFO]
    graph.spin_until(lambda: labels, 'label info')
    assert names(labels[-1]) == {1: 'red cup', 2: 'chair'}

    def detected(second):
        """Return the classes in the next frame."""
        count = len(graph.received['detections'])
        image.publish(to_image_message(random_rgb(), second * SECOND_NS))
        graph.spin_until(lambda: len(graph.received['detections']) > count, 'a frame')
        found = graph.received['detections'][-1].detections
        return {one.results[0].hypothesis.class_id for one in found}

    assert detected(1) == {'red cup', 'chair'}
    assert ask('table', 'chair') == (True, '')
    graph.spin_until(lambda: len(labels) == 2, 'label info')
    assert names(labels[-1]) == {1: 'red cup', 2: 'chair', 3: 'table'}
    assert 'table' in detected(2) <= {'table', 'chair'}
    assert prompted.get_parameter('detector.prompts').value == 'table, chair'
    for bad, message in (
        ((), 'detector.prompts: expected what to detect'),
        (('cup', ' '), 'prompts: expected words without commas, got an empty one at index 1'),
        (('red cup, chair',), 'got one with a comma at index 0'),
        (['x ' * 5000], 'at most 1024 printable characters, got 10000'),
        ([f'cup {index}' for index in range(500)], 'at most 1024 printable characters'),
        (['very ' * 100], 'expected a text of at most 16 tokens'),
    ):
        success, found = ask(*bad)
        assert not success
        assert message in found
    assert 'table' in detected(3) <= {'table', 'chair'}
    # The tokens of this network are bytes.
    assert ask('чаша') == (True, '')
    assert detected(4) == {'чаша'}
    assert ask('Red Cup') == (True, '')
    assert detected(5) == {'red cup'}
    assert names(labels[-1]) == {1: 'red cup', 2: 'chair', 3: 'table', 4: 'чаша'}
    assert graph.counts().dropped == {}
    (result,) = prompted.set_parameters([Parameter('detector.prompts', value='chair')])
    assert result.successful
    assert detected(6) == {'chair'}
    count = len(labels)
    for transition in ('deactivate', 'cleanup', 'configure', 'activate'):
        assert getattr(prompted, f'trigger_{transition}')().name == 'SUCCESS'
    graph.spin_until(lambda: len(labels) > count, 'label info after cleanup')
    assert names(labels[-1]) == {1: 'red cup', 2: 'chair', 3: 'table', 4: 'чаша'}


@pytest.mark.slow
def test_names_that_a_network_writes_are_published(graph, tmp_path, ask):
    graph.start(
        features__enabled=False,
        depth__enabled=False,
        segmenter__enabled=False,
        detector__model=str(write_florence2_detector(tmp_path / 'florence2')),
        detector__threshold=0.0,
        detector__max_overlap=1.0,
    )
    graph.subscribe_outputs('detections')
    graph.subscribe(LABEL_INFO, 'vision_msgs/msg/LabelInfo', LATCHED)
    image = graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE)
    graph.connect(image)
    labels, frames = graph.received[LABEL_INFO], graph.received['detections']
    graph.spin_until(lambda: labels, 'label info')
    assert names(labels[-1]) == {}

    def detected(second):
        image.publish(to_image_message(random_rgb(), second * SECOND_NS))
        graph.spin_until(lambda: len(frames) == second, 'a frame')
        return {one.results[0].hypothesis.class_id for one in frames[-1].detections}

    written = detected(1)
    graph.spin_until(lambda: len(labels) == 2, 'the names of the frame')
    assert set(names(labels[-1]).values()) == written
    assert ask('red cup') == (True, '')
    assert detected(2) == {'red cup'}
    assert names(labels[-1])[len(written) + 1] == 'red cup'
    success, message = ask('<DANCE>')
    assert not success
    assert 'expected words, <OD>' in message
    assert ask() == (True, '')
    assert detected(3) == written
    assert len(labels) == 3


def test_a_detector_of_fixed_classes_takes_no_prompts(graph, ask):
    graph.start()
    success, message = ask('red cup')
    assert not success
    assert 'stub has a fixed list of 3 classes; got red cup. Set detector.model to' in message
