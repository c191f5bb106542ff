"""The action ~/ask, over DDS."""

from multiprocessing import active_children
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

from action_msgs.msg import GoalStatus
from graph import random_rgb, RELIABLE, SECOND_NS, to_image_message
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from sensor_msgs.msg import RegionOfInterest
from tiny_describers import write_tiny_describer

from robot_perception.core import Image
from robot_perception.models import build_describer
from robot_perception.nodes.messages import message_class

pytestmark = pytest.mark.ros

# A process is started, and may import torch, on a machine that others load.
START_S = 400.0


class Asker:
    """A client of the action."""

    def __init__(self, graph, name='/perception/ask'):
        self.graph = graph
        self.action = message_class('robot_perception/action/Ask')
        self.client = ActionClient(graph.subscriber, self.action, name)
        graph.spin_until(self.client.server_is_ready, 'action')
        self.feedback = []

    def send(self, question='what is this?', region=(0, 0, 0, 0), track_id=''):
        """Send a question and return its goal handle."""
        left, top, width, height = region
        goal = self.action.Goal(
            question=question,
            region=RegionOfInterest(x_offset=left, y_offset=top, width=width, height=height),
            track_id=track_id,
        )
        sent = self.client.send_goal_async(
            goal, lambda message: self.feedback.append(message.feedback.answer)
        )
        self.graph.spin_until(sent.done, 'acceptance')
        assert sent.result().accepted
        return sent.result()

    def finish(self, handle):
        """Return the status and the result of a question."""
        future = handle.get_result_async()
        end = time.monotonic() + START_S
        while not future.done():
            assert time.monotonic() < end, 'no answer'
            self.graph.executor.spin_once(timeout_sec=0.02)
        return future.result().status, future.result().result

    def __call__(self, *arguments, **keywords):
        return self.finish(self.send(*arguments, **keywords))

    def refusal(self, *arguments, **keywords):
        """Return why there is no answer."""
        status, result = self(*arguments, **keywords)
        assert status == GoalStatus.STATUS_ABORTED
        assert not result.success
        return result.message

    def close(self):
        self.client.destroy()


@pytest.fixture
def asker(graph):
    """Return a function that starts the node with a describer, and returns a client."""
    made = []

    def start(model='stub', **values):
        graph.start(describer__model=str(model), **values)
        made.append(Asker(graph))
        return made[0]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def camera(graph):
    """Return a function that publishes an image of a seed, with its stamp in seconds."""
    publishers = []

    def publish(second):
        if not publishers:
            publishers.append(graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE))
            graph.connect(publishers[0])
        received = graph.counts().received
        publishers[0].publish(to_image_message(random_rgb(second), second * SECOND_NS))
        graph.spin_until(lambda: graph.counts().received > received, 'image')

    return publish


def stub_answer(rgb):
    return (
        build_describer('stub')
        .answer(Image(rgb), '', max_new_tokens=99, on_text=lambda _: None, stop=lambda: False)
        .text
    )


def test_the_newest_image_is_asked_about(asker, camera):
    ask = asker()
    camera(1)
    camera(2)
    status, result = ask()
    assert (status, result.success, result.message) == (GoalStatus.STATUS_SUCCEEDED, True, '')
    assert result.answer == stub_answer(random_rgb(2))
    assert (result.header.stamp.sec, result.header.frame_id) == (2, 'camera_optical_frame')
    assert result.duration_s > 0
    assert len(result.detections.detections) == 0
    # The client skips some of words that follow each other so fast.
    assert ask.feedback
    assert ask.feedback == sorted(set(ask.feedback), key=len)
    assert all(result.answer.startswith(text) for text in ask.feedback)


def test_a_region_and_a_track(asker, camera, graph):
    ask = asker()
    graph.subscribe_outputs('detections')
    camera(1)
    _, result = ask(region=(8, 4, 32, 24))
    assert result.answer == stub_answer(random_rgb(1)[4:28, 8:40])
    graph.spin_until(lambda: graph.received['detections'], 'detections')
    found = graph.received['detections'][-1].detections[0]
    center, box = found.bbox.center.position, found.bbox
    left, right = center.x - box.size_x / 2, center.x + box.size_x / 2
    top, bottom = center.y - box.size_y / 2, center.y + box.size_y / 2
    rows = slice(int(np.floor(top)), int(np.ceil(bottom)))
    columns = slice(int(np.floor(left)), int(np.ceil(right)))
    _, result = ask(track_id=found.id)
    assert result.answer == stub_answer(random_rgb(1)[rows, columns])
    assert result.header.stamp.sec == 1
    assert 'expected an object of the newest frame' in ask.refusal(track_id='4711')
    assert 'got both' in ask.refusal(track_id=found.id, region=(0, 0, 4, 4))
    assert 'expected a part of the image' in ask.refusal(region=(64, 0, 4, 4))
    assert 'expected a part of the image' in ask.refusal(region=(0, 0, 4, 0))


def test_questions_without_an_answer(asker, camera, graph):
    ask = asker()
    assert ask.refusal() == 'no image has arrived yet: start the camera, see /diagnostics.'
    camera(1)
    assert 'expected words, got none' in ask.refusal('')
    assert 'at most 2000 characters, got 10000' in ask.refusal('x' * 10_000)
    assert 'expected objects to be tracked' in ask.refusal(track_id='1')
    graph.node.trigger_deactivate()
    assert 'the node is inactive' in ask.refusal()
    graph.node.trigger_activate()
    (changed,) = graph.node.set_parameters([Parameter('describer.model', value='')])
    assert changed.successful
    assert 'describer.model: expected a network' in ask.refusal()
    graph.node.set_parameters([Parameter('describer.model', value='/nowhere')])
    assert "got '/nowhere', which is none of them" in ask.refusal()
    graph.node.set_parameters([Parameter('describer.model', value='stub')])
    status, _ = ask()
    assert status == GoalStatus.STATUS_SUCCEEDED
    # Images were received all along.
    camera(2)


@pytest.mark.slow
def test_cancellation_one_at_a_time_and_a_killed_process(asker, camera, graph, tmp_path):
    folder = write_tiny_describer('llava', tmp_path / 'llava')
    graph.subscribe_outputs('detections')
    ask = asker(folder, describer__max_new_tokens=4096, describer__timeout_s=3600.0)
    camera(1)
    first = ask.send()
    end = time.monotonic() + START_S
    while not ask.feedback and time.monotonic() < end:
        graph.executor.spin_once(timeout_sec=0.02)
    assert ask.feedback
    # Frames go on meanwhile.
    camera(2)
    graph.spin_until(lambda: len(graph.received['detections']) == 2, 'frames')
    assert ask.refusal() == (
        'another question is being answered. Ask again when it is, or cancel it.'
    )
    graph.spin_until(first.cancel_goal_async().done, 'cancellation')
    status, result = ask.finish(first)
    assert status == GoalStatus.STATUS_CANCELED
    assert (result.success, result.message) == (False, 'the question was cancelled.')
    # The client skips some of words that follow each other so fast.
    assert len(result.answer) >= len(ask.feedback[-1])
    (process,) = (one for one in active_children() if one.name == 'describer')
    process.kill()
    process.join()
    # Loading another network takes long, and the stub starts the same way.
    graph.node.set_parameters([Parameter('describer.model', value='stub')])
    status, result = ask()
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert 'started again: it was ended by SIGKILL' in result.message
    camera(3)
    graph.spin_until(lambda: len(graph.received['detections']) == 3, 'frames')
