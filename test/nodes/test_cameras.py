"""Several cameras in one node, over real DDS with stub networks."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

from graph import (
    FRAME_ID,
    header,
    LATCHED,
    random_rgb,
    RELIABLE,
    SECOND_NS,
    to_camera_info,
    to_image_message,
    TYPES,
)
from rclpy.parameter import Parameter
from reasons import raises
from std_srvs.srv import SetBool

from robot_perception.core import ConfigError, Image
from robot_perception.models.stub import StubDepthEstimator, StubDetector
from robot_perception.nodes.camera_watch import CameraWatch
from robot_perception.nodes.messages import message_class
from robot_perception.nodes.parameters import declare_cameras
from robot_perception.pipeline import PerceptionPipeline

pytestmark = pytest.mark.ros

OK, ERROR, STALE = b'\x00', b'\x02', b'\x03'
CAMERAS = ('front', 'left', 'rear')
TIMEOUT_S = 20.0


class Rig:
    """Cameras that publish to one node."""

    def __init__(self, graph, cameras, *topics, **parameters):
        self.graph, self.cameras = graph, cameras
        graph.start(cameras=list(cameras), **parameters)
        self.images = {
            camera: graph.publisher(f'{camera}/image', 'sensor_msgs/msg/Image', RELIABLE)
            for camera in cameras
        }
        for camera in cameras:
            for topic in topics:
                graph.subscribe(f'/perception/{camera}/{topic}', TYPES[topic])
        for image in self.images.values():
            graph.connect(image)
        connected = {f'/perception/{camera}/{topic}' for camera in cameras for topic in topics}
        graph.spin_until(
            lambda: (
                connected
                <= {
                    one.topic_name for one in graph.node.publishers if one.get_subscription_count()
                }
            ),
            'outputs',
        )

    def received(self, camera, topic):
        return self.graph.received[f'/perception/{camera}/{topic}']

    def send(self, camera, seed=0, stamp_ns=SECOND_NS):
        self.images[camera].publish(to_image_message(random_rgb(seed), stamp_ns))

    def process(self, camera, seed=0, stamp_ns=SECOND_NS):
        """Publish an image and wait until it is processed."""
        index = self.cameras.index(camera)
        before = self.graph.counts(index).received
        self.send(camera, seed, stamp_ns)
        self.graph.spin_until(lambda: self.graph.counts(index).received > before, camera)
        self.graph.spin_until(lambda: self.graph.counts(index).waiting == 0, camera)

    def status(self, name):
        """Return a status of the last report by its full name."""
        (found,) = (
            one for one in self.graph.received['/diagnostics'][-1].status if one.name == name
        )
        return found.level, found.message, {item.key: item.value for item in found.values}


def ids(message):
    return [one.id for one in message.detections]


def test_each_camera_has_its_own_topics_tracks_calibration_and_services(graph):
    rig = Rig(graph, CAMERAS, 'detections', 'depth/camera_info', 'timing')
    graph.subscribe('/perception/left/label_info', 'vision_msgs/msg/LabelInfo', LATCHED)
    info = graph.publisher('left/camera_info', 'sensor_msgs/msg/CameraInfo')
    graph.connect(info)
    info.publish(to_camera_info())
    left = graph.node.cameras[1]
    graph.spin_until(lambda: left.synchronizer.camera_info is not None, 'CameraInfo')
    for number in range(1, 4):
        rig.process('left', number, number * SECOND_NS // 10)
    rig.process('front', 9, 7 * SECOND_NS)
    graph.spin_until(
        lambda: len(rig.received('left', 'timing')) == 3 and rig.received('front', 'timing'), 'all'
    )
    assert not rig.received('rear', 'detections')
    (mine,) = rig.received('front', 'detections')
    scene = PerceptionPipeline.from_preset('stub').process(
        Image(random_rgb(9), 7 * SECOND_NS, FRAME_ID)
    )
    assert mine.header == header(7 * SECOND_NS)
    assert [one.bbox.size_x for one in mine.detections] == pytest.approx(
        np.diff(scene.detections.boxes_xyxy[:, ::2])[:, 0], abs=1e-4
    )
    # Tracks begin again with each camera.
    numbers = [str(number) for number in range(1, len(scene.detections) + 1)]
    assert ids(mine) == numbers == ids(rig.received('left', 'detections')[0])
    assert [rig.graph.counts(index).published for index in range(3)] == [1, 3, 0]
    assert len(rig.received('left', 'depth/camera_info')) == 3
    assert not rig.received('front', 'depth/camera_info')
    graph.spin_until(lambda: graph.received['/perception/left/label_info'], 'names')
    # Of the graph, the nodes of earlier tests with the same name would be found too.
    services = {service.srv_name for service in graph.node.services}
    assert {name for name in services if name.endswith('/perceive')} == {
        f'/perception/{camera}/perceive' for camera in CAMERAS
    }


def test_each_camera_has_its_own_status_and_the_node_one(graph):
    rig = Rig(graph, CAMERAS[:2], 'depth/image')
    rig.process('front')
    graph.statuses()
    graph.statuses()
    names = [one.name for one in graph.received['/diagnostics'][-1].status]
    assert len(names) == len(set(names))
    of_node = [name for name in names if name.startswith('/perception: ')]
    assert of_node == ['/perception: lifecycle', '/perception: inputs']
    for camera in rig.cameras:
        titles = {'frames', 'connections', 'calibration', 'depth', 'tf', 'model', 'outputs'}
        titles |= {'clock', 'timing'}
        assert {f'/perception/{camera}: {one}' for one in titles} <= set(names)
    assert rig.status('/perception/left: frames')[:2] == (STALE, 'no image on /left/image')
    level, _, values = rig.status('/perception/front: frames')
    assert (level, values['topic'], values['published']) == (OK, '/front/image', '1')


def test_transforms_are_received_once_and_reported_for_all(graph):
    rig = Rig(graph, CAMERAS[:2], 'detections', frames__gravity_frame='map')
    moving = graph.publisher('/tf', 'tf2_msgs/msg/TFMessage')
    graph.connect(moving)
    graph.statuses()
    moving.publish(b'\0\1\0\0' + b'\xff' * 8)
    reports = graph.received['/diagnostics']

    def named():
        return {
            status.name
            for report in reports
            for status in report.status
            if 'got 12 bytes that cannot be read' in status.message
        }

    both = {f'/perception/{camera}: tf' for camera in rig.cameras}
    graph.spin_until(lambda: both <= named(), 'report')
    assert rig.status('/perception/left: connections')[2]['lost//tf'] == '0'


def test_a_scene_is_requested_of_one_camera_and_disabling_concerns_all(graph):
    rig = Rig(graph, CAMERAS[:2])
    service = message_class('robot_perception/srv/Perceive')
    client = graph.subscriber.create_client(service, '/perception/left/perceive')
    enable = graph.subscriber.create_client(SetBool, '/perception/enable')
    graph.spin_until(lambda: client.service_is_ready() and enable.service_is_ready(), 'services')
    answer = client.call_async(service.Request(timeout_s=30.0))
    graph.spin(0.5)
    rig.process('front', 1)
    assert not answer.done()
    rig.process('left', 2, 3 * SECOND_NS)
    graph.spin_until(answer.done, 'answer')
    assert answer.result().success
    assert answer.result().scene.header == header(3 * SECOND_NS)
    future = enable.call_async(SetBool.Request(data=False))
    graph.spin_until(future.done, 'answer')
    for index, camera in enumerate(rig.cameras):
        rig.process(camera)
        assert graph.counts(index).dropped['disabled'] == 1


def test_one_set_of_networks_serves_all_cameras_and_is_changed_for_all(graph, monkeypatch):
    detectors, detect = set(), StubDetector.detect

    def noting(self, image, **options):
        detectors.add(id(self))
        return detect(self, image, **options)

    monkeypatch.setattr(StubDetector, 'detect', noting)
    rig = Rig(graph, CAMERAS, 'detections')
    (result,) = graph.node.set_parameters([Parameter('detector.threshold', value=0.85)])
    assert result.successful
    for camera in CAMERAS:
        rig.process(camera)
    graph.spin_until(lambda: all(rig.received(one, 'detections') for one in CAMERAS), 'outputs')
    assert len(detectors) == 1
    for camera in CAMERAS:
        (message,) = rig.received(camera, 'detections')
        assert len(message.detections) == 1
    graph.node.trigger_deactivate()
    graph.node.trigger_cleanup()
    assert graph.node.trigger_configure().name == 'SUCCESS'
    graph.node.trigger_activate()
    for image in rig.images.values():
        graph.connect(image)


def test_a_stage_that_hangs_for_one_camera_is_replaced_for_all(graph, monkeypatch):
    from robot_perception.nodes import stage_limits

    monkeypatch.setattr(stage_limits, '_LATE', (0.2, 3.0))
    monkeypatch.setattr(stage_limits, '_HANGS', (0.5, 10.0))
    hangs, release, estimators = threading.Event(), threading.Event(), []
    estimate = StubDepthEstimator.estimate

    def hanging(self, image):
        estimators.append(self)
        if hangs.is_set():
            release.wait()
        return estimate(self, image)

    monkeypatch.setattr(StubDepthEstimator, 'estimate', hanging)
    try:
        rig = Rig(graph, CAMERAS[:2], 'depth/image', 'detections')
        for camera in rig.cameras:
            rig.process(camera, 1, SECOND_NS)
        hangs.set()
        rig.send('left', 2, 2 * SECOND_NS)
        graph.spin_until(lambda: graph.counts(1).dropped == {'hang': 1}, 'end of the hang')
        hangs.clear()
        before = estimators[-1]
        for camera in rig.cameras:
            rig.process(camera, 3, 3 * SECOND_NS)
    finally:
        release.set()
    renewed = estimators[-2:]
    assert renewed[0] is renewed[1] is not before
    assert [graph.counts(index).published for index in (0, 1)] == [2, 2]
    graph.spin_until(lambda: len(rig.received('front', 'detections')) == 2, 'outputs')
    # The tracks of the other camera go on.
    first, last = (ids(one) for one in rig.received('front', 'detections'))
    assert len(first) == len(last)


class HeldDepth:
    """A depth network that computes images together, and waits with those that come alone."""

    def __init__(self, monkeypatch):
        self.begun, self.go_on, self.release = (threading.Event() for _ in range(3))
        self.together = []
        estimate = StubDepthEstimator.estimate

        def alone(network, image):
            self.begun.set()
            self.go_on.wait(TIMEOUT_S)
            return estimate(network, image)

        def many(network, images):
            self.together.append(len(images))
            self.release.wait(TIMEOUT_S)
            return [estimate(network, image) for image in images]

        monkeypatch.setattr(StubDepthEstimator, 'estimate', alone)
        monkeypatch.setattr(StubDepthEstimator, 'estimate_many', many, raising=False)

    def let_wait(self, rig, number, bad=(), start_ns=0):
        """Send an image of each camera while one is at work."""
        self.begun.clear()
        self.go_on.clear()
        rig.send(rig.cameras[0], 100 + number, start_ns + 2 * number * SECOND_NS)
        rig.graph.spin_until(self.begun.is_set, 'image')
        for index, camera in enumerate(rig.cameras):
            before = rig.graph.counts(index).received
            stamp_ns = start_ns + (2 * number + 1) * SECOND_NS
            message = to_image_message(random_rgb(index), stamp_ns)
            if camera in bad:
                message.encoding = 'nonsense'
            rig.images[camera].publish(message)
            rig.graph.spin_until(lambda: rig.graph.counts(index).received > before, camera)  # noqa: B023
        self.go_on.set()


def test_the_newest_images_are_computed_together_and_a_bad_one_loses_no_other(graph, monkeypatch):
    depth = HeldDepth(monkeypatch)
    depth.release.set()
    rig = Rig(graph, CAMERAS, 'detections', 'depth/image', batch_cameras='always')

    def wait():
        graph.spin_until(lambda: not any(graph.counts(one).waiting for one in range(3)), 'end')

    depth.let_wait(rig, 1)
    wait()
    assert depth.together == [3]
    newest = header(3 * SECOND_NS)

    def arrived(camera):
        return any(one.header == newest for one in rig.received(camera, 'detections'))

    graph.spin_until(lambda: all(map(arrived, CAMERAS)), 'outputs')
    for index, camera in enumerate(CAMERAS):
        message = rig.received(camera, 'detections')[-1]
        alone = PerceptionPipeline.from_preset('stub').process(Image(random_rgb(index)))
        boxes = alone.detections.boxes_xyxy
        assert [one.bbox.size_x for one in message.detections] == pytest.approx(
            (boxes[:, 2] - boxes[:, 0]).tolist(), abs=0.01
        )
        assert [one.results[0].hypothesis.score for one in message.detections] == pytest.approx(
            alone.detections.scores.tolist(), abs=1e-4
        )
    depth.let_wait(rig, 2, bad={'left'})
    wait()
    assert depth.together == [3, 2]
    assert sum(graph.counts(1).rejected.values()) == 1
    assert [graph.counts(index).published for index in range(3)] == [4, 1, 2]


def test_a_stage_that_hangs_gives_up_all_images_that_are_computed_together(graph, monkeypatch):
    from robot_perception.nodes import stage_limits

    depth = HeldDepth(monkeypatch)
    try:
        rig = Rig(graph, CAMERAS[:2], 'depth/image', batch_cameras='always')
        depth.let_wait(rig, 1)
        graph.spin_until(lambda: depth.together, 'batch')
        monkeypatch.setattr(stage_limits, '_LATE', (0.2, 3.0))
        monkeypatch.setattr(stage_limits, '_HANGS', (0.5, 1.0))
        hung = {'hang': 1}
        graph.spin_until(lambda: all(graph.counts(one).dropped == hung for one in (0, 1)), 'hang')
    finally:
        depth.release.set()
    for camera in rig.cameras:
        rig.process(camera, 5, 9 * SECOND_NS)
    assert [graph.counts(index).published for index in (0, 1)] == [2, 1]


def test_timing_names_the_rung_on_which_an_image_of_a_batch_began(graph, monkeypatch):
    depth = HeldDepth(monkeypatch)
    depth.release.set()
    rig = Rig(
        graph,
        CAMERAS,
        'depth/image',
        'timing',
        batch_cameras='always',
        budget__max_age_s=0.001,
    )

    def rungs(camera):
        names = [one.stages for one in rig.received(camera, 'timing')]
        return [[name for name in stages if name.startswith('budget/')] for stages in names]

    # All are too old, and the second of the batch is the third: its end changes the rung.
    depth.let_wait(rig, 1, start_ns=time.time_ns() - 3 * SECOND_NS)
    graph.spin_until(lambda: sum(len(rungs(one)) for one in CAMERAS) == 4, 'timing')
    assert depth.together == [3]
    assert [rungs(camera) for camera in CAMERAS] == [[[], []], [[]], [[]]]
    rig.send('left', stamp_ns=time.time_ns())
    graph.spin_until(lambda: len(rungs('left')) == 2, 'timing')
    assert rungs('left')[-1] == ['budget/every_2']


def close(camera):
    camera.slot.close('inactive')


def jump(camera):
    camera.time_jumped()


def change_during_a_batch(graph, monkeypatch, change):
    """Apply a change to every camera while a batch is computed; return the rig and its depth."""
    depth = HeldDepth(monkeypatch)
    rig = Rig(graph, CAMERAS, 'depth/image', batch_cameras='always')
    depth.let_wait(rig, 1)
    graph.spin_until(lambda: depth.together, 'batch')
    for camera in graph.node.supervisor.worker.cameras:
        change(camera)
    depth.release.set()
    graph.spin_until(lambda: not any(graph.counts(one).waiting for one in range(3)), 'end')
    return rig, depth


@pytest.mark.parametrize(('change', 'reason'), [(close, 'inactive'), (jump, 'time_jump')])
def test_images_that_wait_for_their_turn_are_dropped(graph, monkeypatch, change, reason):
    change_during_a_batch(graph, monkeypatch, change)
    # The first in turn was at work.
    dropped = [graph.counts(index).dropped.get(reason, 0) for index in range(3)]
    assert sorted(dropped) == [0, 1, 1]


def test_results_of_dropped_images_are_dropped_too(graph, monkeypatch):
    rig, depth = change_during_a_batch(graph, monkeypatch, jump)
    for index, camera in enumerate(CAMERAS):
        depth.begun.clear()
        # The pixels of the batch.
        rig.process(camera, index, 9 * SECOND_NS)
        assert depth.begun.is_set()


@pytest.mark.slow
@pytest.mark.parametrize('batch', ['auto', 'always'])
def test_cameras_of_equal_rates_are_served_equally_and_no_result_is_old(graph, monkeypatch, batch):
    """Four cameras at 50, 50, 100 and 2 images a second; a frame takes about 0.03 s."""
    frame_s, rates_hz = 0.03, {'a': 50.0, 'b': 50.0, 'c': 100.0, 'd': 2.0}
    estimate = StubDepthEstimator.estimate

    def slow(self, image):
        time.sleep(frame_s)
        return estimate(self, image)

    def slow_many(self, images):
        # Each further image takes a quarter.
        time.sleep(frame_s * (1 + 0.25 * (len(images) - 1)))
        return [estimate(self, image) for image in images]

    monkeypatch.setattr(StubDepthEstimator, 'estimate', slow)
    if batch == 'always':
        monkeypatch.setattr(StubDepthEstimator, 'estimate_many', slow_many, raising=False)
    # The same image again and again; comparing them is not what is measured.
    monkeypatch.setattr(CameraWatch, 'add', lambda *_: None)
    rig = Rig(graph, tuple(rates_hz), 'timing', 'depth/image', batch_cameras=batch)
    over = threading.Event()

    def publish(camera, rate_hz):
        message = to_image_message(random_rgb())
        while not over.wait(1 / rate_hz):
            message.header.stamp = graph.camera.get_clock().now().to_msg()
            rig.images[camera].publish(message)

    threads = [threading.Thread(target=publish, args=item) for item in rates_hz.items()]
    for thread in threads:
        thread.start()
    graph.spin(4.0)
    over.set()
    for thread in threads:
        thread.join()
    graph.spin(0.3)
    counts = [graph.counts(index) for index in range(4)]
    served = [one.published for one in counts]
    assert served[0] == pytest.approx(served[1], rel=0.1, abs=1)
    assert served[3] >= counts[3].received - 1
    times_s, ages_s = [], []
    for camera in rates_hz:
        for one in rig.received(camera, 'timing'):
            ages_s.append(one.age)
            stages = dict(zip(one.stages, one.last, strict=True))
            times_s.append(stages['decode'] + stages['pipeline'] + stages['publish'])
    # A message waits for the executor, which the test shares with the node.
    assert np.percentile(ages_s, 95) <= (len(rates_hz) + 1) * np.percentile(times_s, 95) + 0.05


@pytest.mark.parametrize(
    'names', [['front', 'front'], ['front', ''], ['1st'], ['a/b'], ['a__b'], ['a b'], [1, 2]]
)
def test_names_that_are_no_part_of_a_topic_are_refused(graph, names):
    from rclpy.node import Node

    node = Node(
        'named',
        context=graph.context,
        parameter_overrides=[Parameter('cameras', value=names)],
    )
    with raises(ConfigError, 'camera_names'):
        declare_cameras(node)
    node.destroy_node()


@pytest.mark.parametrize('names', [[''], ['front']])
def test_cameras_cannot_change_while_the_node_runs(graph, names):
    node = graph.start(cameras=names)
    (result,) = node.set_parameters([Parameter('cameras', value=['rear'])])
    assert not result.successful
    assert node.get_parameter('cameras').value == names
