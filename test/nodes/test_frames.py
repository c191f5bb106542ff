"""TF and the node over real DDS: target frame, waiting times and diagnostics."""

import resource
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs.msg')

from graph import (
    CAMERA,
    FACTORY,
    FRAME_ID,
    header,
    LATCHED,
    random_rgb,
    RELIABLE,
    SECOND_NS,
    SIZE_HW,
    to_camera_info,
    to_image_message,
)
from live import has_depth
from rclpy.parameter import Parameter

from robot_perception import conversions
from robot_perception.conversions import ros
from robot_perception.core import Box3D, CameraModel, MetricDepth, Pose, TransformError
from robot_perception.core.rigid_transform import transform_box
from robot_perception.core.rotation import quaternion_to_matrix
from robot_perception.nodes.messages import message_class
from robot_perception.nodes.transform_listener import read_transforms

pytestmark = pytest.mark.ros

OK, WARN, ERROR = b'\x00', b'\x01', b'\x02'
TF = 'tf2_msgs/msg/TFMessage'
# Optical axes of a camera that looks along x, in a frame with x forward and z up.
FORWARD = (-0.5, 0.5, -0.5, 0.5)
IN_TARGET_FRAME = ('detections_3d', 'markers', 'points/objects', 'points/background')


def transform(
    parent, child, stamp_ns=0, translation=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0, 1.0)
):
    x, y, z = translation
    qx, qy, qz, qw = rotation
    return FACTORY(
        ros.TransformStamped,
        header=header(stamp_ns, parent),
        child_frame_id=child,
        transform=FACTORY(
            ros.Transform,
            translation=FACTORY(ros.Vector3, x=x, y=y, z=z),
            rotation=FACTORY(ros.Quaternion, x=qx, y=qy, z=qz, w=qw),
        ),
    )


def send_transforms(publisher, *transforms):
    publisher.publish(message_class(TF)(transforms=list(transforms)))


class Robot:
    """A camera on a base that drives along x of the map, one meter per second."""

    def __init__(self, graph, *topics, **parameters):
        self.graph = graph
        self.static = graph.publisher('/tf_static', TF, LATCHED)
        send_transforms(self.static, transform('base_link', FRAME_ID, 0, (0.2, 0.0, 1.0), FORWARD))
        graph.start(**parameters)
        self.moving = graph.publisher('/tf', TF)
        self.image = graph.publisher('image', 'sensor_msgs/msg/Image')
        info = graph.publisher('camera_info', 'sensor_msgs/msg/CameraInfo')
        graph.subscribe_outputs(*topics)
        graph.connect(self.image)
        graph.connect(info)
        info.publish(to_camera_info())
        graph.wait_for_camera_info()

    def connect_tf(self):
        self.graph.connect(self.moving)
        self.graph.connect(self.static)
        self.graph.spin_until(lambda: self.knows('base_link', FRAME_ID), 'static transform')

    def knows(self, target, source, stamp_ns=None):
        """Return whether the node can look up a transform."""
        try:
            self.graph.node.cameras[0].synchronizer.lookup(target, source, stamp_ns)
        except TransformError:
            return False
        return True

    def drive(self, *seconds):
        for second in seconds:
            stamp_ns = round(second * SECOND_NS)
            send_transforms(
                self.moving, transform('map', 'base_link', stamp_ns, (float(second), 0.0, 0.0))
            )
        self.graph.spin_until(lambda: self.knows('map', 'base_link', stamp_ns), 'transform')

    def process(self, second, seed=0):
        before = self.graph.counts().received
        self.image.publish(to_image_message(random_rgb(seed), round(second * SECOND_NS)))
        self.graph.spin_until(lambda: self.graph.counts().received > before, 'image')
        self.graph.settle()

    def wait_for_frame_ids(self, count):
        topic = 'detections_3d'
        self.graph.spin_until(lambda: len(self.graph.received[topic]) >= count, topic)
        return [message.header.frame_id for message in self.graph.received[topic]]


def read_headers(message):
    markers = getattr(message, 'markers', None)
    return [message.header] if markers is None else [marker.header for marker in markers]


def to_box(message):
    center, turn, size = message.center.position, message.center.orientation, message.size
    return Box3D(
        (center.x, center.y, center.z), (size.x, size.y, size.z), (turn.x, turn.y, turn.z, turn.w)
    )


def test_3d_results_are_in_the_target_frame_at_the_stamp_of_the_image(graph):
    robot = Robot(graph, *IN_TARGET_FRAME, 'scene', 'points', frames__target_frame='map')
    robot.connect_tf()
    robot.drive(4, 6)
    robot.process(5.25)
    graph.spin_until(lambda: all(graph.received[topic] for topic in graph.received), 'outputs')
    stamp_ns = round(5.25 * SECOND_NS)
    for topic in IN_TARGET_FRAME:
        for one in read_headers(graph.received[topic][0]):
            assert one == header(stamp_ns, 'map'), topic
    (scene,), (points,) = graph.received['scene'], graph.received['points']
    assert scene.header == points.header == header(stamp_ns)
    map_from_camera = Pose(quaternion_to_matrix(FORWARD), np.array([5.25 + 0.2, 0.0, 1.0]))
    known = [item for item in scene.objects if item.bbox_3d]
    found = graph.received['detections_3d'][0].detections
    assert len(found) == len(known) > 0
    for mine, theirs in zip(found, known, strict=True):
        expected = transform_box(to_box(theirs.bbox_3d[0]), map_from_camera)
        assert to_box(mine.bbox).center_m == pytest.approx(expected.center_m)
        assert to_box(mine.bbox).size_m == pytest.approx(expected.size_m)
        assert to_box(mine.bbox).rotation_xyzw == pytest.approx(expected.rotation_xyzw)
        at, centroid = mine.results[0].pose.pose.position, theirs.centroid[0]
        there = map_from_camera.apply(np.array([centroid.x, centroid.y, centroid.z]))
        assert (at.x, at.y, at.z) == pytest.approx(there.tolist())
    assert graph.statuses()['tf'][:2] == (OK, 'frames are known')


def test_gravity_makes_boxes_upright(graph):
    robot = Robot(graph, 'detections_3d', frames__gravity_frame='base_link')
    robot.connect_tf()
    robot.process(1)
    assert robot.wait_for_frame_ids(1) == [FRAME_ID]
    for item in graph.received['detections_3d'][0].detections:
        turned = quaternion_to_matrix(to_box(item.bbox).rotation_xyzw)
        # Up is against y of the optical frame.
        assert turned[:, 2] == pytest.approx([0, -1, 0], abs=1e-6)


def test_an_image_waits_for_late_transforms(graph):
    parameters = {'frames__target_frame': 'map', 'frames__tf_wait_s': 10.0}
    robot = Robot(graph, 'detections_3d', **parameters)
    robot.connect_tf()
    robot.drive(4)
    robot.image.publish(to_image_message(random_rgb(), 5 * SECOND_NS))
    graph.spin(0.5)
    assert graph.counts().waiting == 1
    robot.drive(6)
    assert robot.wait_for_frame_ids(1) == ['map']


def test_without_tf_results_stay_in_the_optical_frame_and_diagnostics_state_why(graph):
    parameters = {'frames__target_frame': 'map', 'frames__tf_wait_s': 0.05}
    robot = Robot(graph, *IN_TARGET_FRAME, **parameters)
    robot.connect_tf()
    robot.process(5)
    assert robot.wait_for_frame_ids(1) == [FRAME_ID]
    level, text, _ = graph.statuses()['tf']
    assert level == WARN
    assert "instead of 'map': frame 'map': expected one of those in TF" in text
    assert 'base_link' in text
    robot.drive(4)
    robot.process(5.2)
    level, text, _ = graph.statuses()['tf']
    assert (level, "'map' -> 'base_link': requested at 5.200000 s" in text) == (WARN, True)
    robot.drive(6)
    robot.process(5.5)
    assert robot.wait_for_frame_ids(3) == [FRAME_ID, FRAME_ID, 'map']
    assert graph.statuses()['tf'][0] == OK


def test_tf_is_subscribed_only_while_it_is_needed(graph):
    robot = Robot(graph, 'detections_3d')
    listeners = {
        topic: lambda topic=topic: graph.node.count_subscribers(topic)
        for topic in ('/tf', '/tf_static')
    }
    assert [count() for count in listeners.values()] == [0, 0]

    def choose(frame):
        parameter = Parameter('frames.target_frame', value=frame)
        (result,) = graph.node.set_parameters([parameter])
        assert result.successful

    choose('map')
    robot.connect_tf()
    robot.drive(4, 6)
    robot.process(5)
    choose('')
    graph.spin_until(
        lambda: not any(count() for count in listeners.values()), 'end of the subscriptions'
    )
    robot.process(5.5)
    assert robot.wait_for_frame_ids(2) == ['map', FRAME_ID]


def test_a_ros_without_tf_refuses_a_target_and_goes_on(graph, monkeypatch):
    robot = Robot(graph, 'detections_3d')
    for name in ('tf2_msgs', 'tf2_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    message_class.cache_clear()
    (result,) = graph.node.set_parameters([Parameter('frames.target_frame', value='map')])
    assert not result.successful
    assert 'tf2_msgs/msg/TFMessage: not in this ROS installation' in result.reason
    robot.process(1)
    assert robot.wait_for_frame_ids(1) == [FRAME_ID]
    assert graph.node.get_parameter('frames.target_frame').value == ''
    assert graph.statuses()['tf'][:2] == (OK, 'not needed so far')


def test_a_time_jump_drops_moving_transforms(graph):
    parameters = {'frames__target_frame': 'map', 'frames__tf_wait_s': 0.05}
    robot = Robot(graph, 'detections_3d', use_sim_time=True, **parameters)
    robot.connect_tf()
    clock = graph.publisher('/clock', 'rosgraph_msgs/msg/Clock')
    graph.spin_until(lambda: clock.get_subscription_count() >= 1, 'clock')
    now = message_class('rosgraph_msgs/msg/Clock')()
    now.clock.sec = 6
    clock.publish(now)
    robot.drive(4, 6)
    robot.process(5)
    now.clock.sec = 5
    clock.publish(now)
    graph.spin_until(lambda: not robot.knows('map', 'base_link', 5 * SECOND_NS), 'jump')
    robot.process(5)
    assert robot.wait_for_frame_ids(2) == ['map', FRAME_ID]
    robot.drive(4, 6)
    robot.process(5)
    assert robot.wait_for_frame_ids(3)[-1] == 'map'


def test_a_bad_transform_is_reported_and_the_others_are_used(graph):
    robot = Robot(graph, 'detections_3d', frames__target_frame='map')
    robot.connect_tf()
    robot.drive(4, 6)
    reports = graph.received.setdefault('/diagnostics', [])
    graph.statuses()
    send_transforms(
        robot.moving, transform('base_link', 'arm', 5 * SECOND_NS, rotation=(0.0,) * 4)
    )
    robot.process(5)
    assert robot.wait_for_frame_ids(1) == ['map']

    def is_reported(text):
        texts = [
            status.message
            for report in reports
            for status in report.status
            if status.name.endswith(': tf') and status.level == WARN
        ]
        return any(text in one for one in texts)

    unit = "'base_link' -> 'arm': expected a unit quaternion"
    graph.spin_until(lambda: is_reported(unit), 'report')
    robot.moving.publish(b'\0\1\0\0' + b'\xff' * 8)
    unreadable = '/tf: expected transforms, got 12 bytes that cannot be read'
    graph.spin_until(lambda: is_reported(unreadable), 'report')


def test_a_message_that_claims_transforms_it_does_not_hold_takes_no_memory():
    # The middleware itself would allocate 165 MiB.
    length = 1_000_000
    data = b'\0\1\0\0' + length.to_bytes(4, 'little') + bytes(length)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_transforms(data) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**14


# rclpy's own warning of the same uses what rclpy has deprecated.
@pytest.mark.filterwarnings('ignore:Deprecated in favor of:DeprecationWarning')
def test_a_static_transform_that_is_not_latched_is_named(graph):
    robot = Robot(graph, 'detections_3d', frames__target_frame='map')
    robot.connect_tf()
    graph.publisher('/tf_static', TF, RELIABLE)
    graph.spin_until(lambda: graph.node.count_publishers('/tf_static') == 2, 'publisher')
    level, text, _ = graph.statuses()['connections']
    assert level == ERROR
    assert '/tf_static: the subscription of this node is reliable and transient_local' in text
    assert 'qos_overrides./tf_static.subscription.durability' in text


class TestSensorDepth:
    """A depth camera 5 cm beside the color camera, of half its size, in front of a wall."""

    DEPTH_FRAME = 'depth_optical_frame'
    DEPTH_CAMERA = CameraModel.nominal((24, 32), 75.0)
    WALL_M = 2.0

    def start(self, graph, *, info=True, joined=True):
        robot = Robot(
            graph, 'depth/image', 'detections', depth__source='sensor', depth__max_offset_s=0.01
        )
        depth = graph.publisher('depth', 'sensor_msgs/msg/Image')
        depth_info = graph.publisher('depth/camera_info', 'sensor_msgs/msg/CameraInfo')
        for publisher in (depth, depth_info, robot.static):
            graph.connect(publisher)
        graph.spin_until(lambda: robot.knows('base_link', FRAME_ID), 'static transform')
        if joined:
            send_transforms(
                robot.static,
                transform('base_link', FRAME_ID, 0, (0.2, 0.0, 1.0), FORWARD),
                transform(FRAME_ID, self.DEPTH_FRAME, 0, (0.05, 0.0, 0.1)),
            )
        if info:
            message = conversions.camera_info_message(
                FACTORY, header(SECOND_NS, self.DEPTH_FRAME), self.DEPTH_CAMERA
            )
            depth_info.publish(message)
        meters = np.full(self.DEPTH_CAMERA.size_hw, self.WALL_M, np.float32)
        meters[:, :4] = np.nan
        stamp = header(SECOND_NS, self.DEPTH_FRAME)
        depth.publish(conversions.depth_message(FACTORY, stamp, MetricDepth(meters)))
        node = graph.node
        graph.spin_until(lambda: has_depth(node, SECOND_NS), 'depth')
        graph.spin_until(
            lambda: not info or node.cameras[0].synchronizer.depth_camera_info is not None,
            'calibration',
        )
        graph.spin_until(
            lambda: not joined or robot.knows(FRAME_ID, self.DEPTH_FRAME), 'transform'
        )
        robot.process(1)
        return graph

    def test_it_is_registered_to_the_image(self, graph):
        self.start(graph)
        graph.spin_until(lambda: graph.received['depth/image'], 'depth')
        (message,) = graph.received['depth/image']
        meters = np.frombuffer(bytes(message.data), np.float32).reshape(SIZE_HW)
        # The wall is 0.1 m farther from the color camera.
        known = np.isfinite(meters)
        assert np.allclose(meters[known], self.WALL_M + 0.1, atol=1e-5)
        # Where each pixel's ray meets the wall, projected into the depth camera.
        rays = np.concatenate([CAMERA.rays(), np.ones((*SIZE_HW, 1))], axis=-1)
        there = rays.astype(np.float64) * (self.WALL_M + 0.1) - (0.05, 0.0, 0.1)
        column, row = np.moveaxis(self.DEPTH_CAMERA.project(there), -1, 0)
        inside = (column > 4.5) & (column < 30.5) & (row > 0.5) & (row < 22.5)
        outside = (column < 3.2) | (column > 31.8) | (row < -0.8) | (row > 23.8)
        assert known[inside].all()
        assert not known[outside].any()
        assert graph.statuses()['depth'][0] == OK

    @pytest.mark.parametrize(
        ('missing', 'message'),
        [
            ('info', 'no CameraInfo of the depth camera has been received on /depth/camera_info'),
            ('joined', f'frame {DEPTH_FRAME!r}: expected one of those in TF'),
        ],
    )
    def test_or_refused_with_the_setting_of_the_driver(self, graph, missing, message):
        self.start(graph, **{missing: False})
        graph.spin_until(lambda: graph.received['detections'], 'detections')
        level, text, _ = graph.statuses()['depth']
        assert level == ERROR
        assert message in text
        assert 'align_depth.enable:=true for RealSense' in text
        assert not graph.received['depth/image']
