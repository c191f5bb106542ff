"""The node and TF over real DDS: where 3D results go, what it waits for, what it says."""

import sys

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs.msg')

from graph import (
    CAMERA,
    FRAME_ID,
    header,
    image_of,
    info_of,
    LATCHED,
    MAKE,
    picture,
    RELIABLE,
    SECOND_NS,
    SIZE_HW,
)
from rclpy.parameter import Parameter

from robot_perception import conversions
from robot_perception.conversions import ros
from robot_perception.core import Box3D, CameraModel, MetricDepth, Pose
from robot_perception.core.rigid_transform import transform_box
from robot_perception.core.rotation import quaternion_to_matrix
from robot_perception.nodes.messages import message_class

pytestmark = pytest.mark.ros

OK, WARN, ERROR = b'\x00', b'\x01', b'\x02'
TF = 'tf2_msgs/msg/TFMessage'
# Optical axes of a camera that looks along x, in a frame with x forward and z up.
FORWARD = (-0.5, 0.5, -0.5, 0.5)
PLACED = ('detections_3d', 'markers', 'points/objects', 'points/background')


def transform(
    parent, child, stamp_ns=0, translation=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0, 1.0)
):
    x, y, z = translation
    qx, qy, qz, qw = rotation
    return MAKE(
        ros.TransformStamped,
        header=header(stamp_ns, parent),
        child_frame_id=child,
        transform=MAKE(
            ros.Transform,
            translation=MAKE(ros.Vector3, x=x, y=y, z=z),
            rotation=MAKE(ros.Quaternion, x=qx, y=qy, z=qz, w=qw),
        ),
    )


def tell(publisher, *transforms):
    publisher.publish(message_class(TF)(transforms=list(transforms)))


class Robot:
    """A camera on a base that drives along x of the map, one metre a second."""

    def __init__(self, graph, *topics, **parameters):
        self.graph = graph
        self.static = graph.publisher('/tf_static', TF, LATCHED)
        tell(self.static, transform('base_link', FRAME_ID, 0, (0.2, 0.0, 1.0), FORWARD))
        graph.start(**parameters)
        self.moving = graph.publisher('/tf', TF)
        self.image = graph.publisher('image', 'sensor_msgs/msg/Image')
        info = graph.publisher('camera_info', 'sensor_msgs/msg/CameraInfo')
        graph.listen(*topics)
        graph.connect(self.image)
        graph.connect(info)
        info.publish(info_of())
        graph.spin_until(lambda: graph.node._calibration._info is not None, 'CameraInfo')

    def hears_tf(self):
        self.graph.connect(self.moving)
        self.graph.connect(self.static)
        self.graph.spin_until(lambda: FRAME_ID in self.told(), 'static transform')

    def told(self):
        """What the node knows: child -> history."""
        return self.graph.node._transforms._buffer._histories

    def drive(self, *seconds):
        for second in seconds:
            stamp_ns = round(second * SECOND_NS)
            tell(self.moving, transform('map', 'base_link', stamp_ns, (float(second), 0.0, 0.0)))
        self.graph.spin_until(
            lambda: 'base_link' in self.told() and self.told()['base_link'].newest_ns == stamp_ns,
            'transform',
        )

    def see(self, second, seed=0):
        before = self.graph.node.slot.counts().received
        self.image.publish(image_of(picture(seed), round(second * SECOND_NS)))
        self.graph.spin_until(lambda: self.graph.node.slot.counts().received > before, 'image')
        self.graph.settle()

    def frames_heard(self, count):
        topic = 'detections_3d'
        self.graph.spin_until(lambda: len(self.graph.heard[topic]) >= count, topic)
        return [message.header.frame_id for message in self.graph.heard[topic]]


def headers_of(message):
    markers = getattr(message, 'markers', None)
    return [message.header] if markers is None else [marker.header for marker in markers]


def as_box(message):
    place, turn, size = message.center.position, message.center.orientation, message.size
    return Box3D(
        (place.x, place.y, place.z), (size.x, size.y, size.z), (turn.x, turn.y, turn.z, turn.w)
    )


def test_places_are_said_in_the_target_frame_at_the_stamp_of_the_image(graph):
    robot = Robot(graph, *PLACED, 'scene', 'points', frames__target_frame='map')
    robot.hears_tf()
    robot.drive(4, 6)
    robot.see(5.25)
    graph.spin_until(lambda: all(graph.heard[topic] for topic in graph.heard), 'outputs')
    stamp_ns = round(5.25 * SECOND_NS)
    for topic in PLACED:
        for one in headers_of(graph.heard[topic][0]):
            assert one == header(stamp_ns, 'map'), topic
    (scene,), (points,) = graph.heard['scene'], graph.heard['points']
    assert scene.header == points.header == header(stamp_ns)
    map_from_camera = Pose(quaternion_to_matrix(FORWARD), np.array([5.25 + 0.2, 0.0, 1.0]))
    known = [item for item in scene.objects if item.bbox_3d]
    found = graph.heard['detections_3d'][0].detections
    assert len(found) == len(known) > 0
    for mine, theirs in zip(found, known, strict=True):
        expected = transform_box(as_box(theirs.bbox_3d[0]), map_from_camera)
        assert as_box(mine.bbox).center_m == pytest.approx(expected.center_m)
        assert as_box(mine.bbox).size_m == pytest.approx(expected.size_m)
        assert as_box(mine.bbox).rotation_xyzw == pytest.approx(expected.rotation_xyzw)
        at, centroid = mine.results[0].pose.pose.position, theirs.centroid[0]
        there = map_from_camera.apply(np.array([centroid.x, centroid.y, centroid.z]))
        assert (at.x, at.y, at.z) == pytest.approx(there.tolist())
    assert graph.statuses()['tf'][:2] == (OK, 'frames are known')


def test_gravity_makes_boxes_upright(graph):
    robot = Robot(graph, 'detections_3d', frames__gravity_frame='base_link')
    robot.hears_tf()
    robot.see(1)
    assert robot.frames_heard(1) == [FRAME_ID]
    for item in graph.heard['detections_3d'][0].detections:
        turned = quaternion_to_matrix(as_box(item.bbox).rotation_xyzw)
        # Up is against y of the optical frame.
        assert turned[:, 2] == pytest.approx([0, -1, 0], abs=1e-6)


def test_an_image_waits_for_tf_on_its_way(graph):
    parameters = {'frames__target_frame': 'map', 'frames__tf_wait_s': 10.0}
    robot = Robot(graph, 'detections_3d', **parameters)
    robot.hears_tf()
    robot.drive(4)
    robot.image.publish(image_of(picture(), 5 * SECOND_NS))
    graph.spin(0.5)
    assert graph.node.slot.counts().waiting == 1
    robot.drive(6)
    assert robot.frames_heard(1) == ['map']


def test_without_tf_results_stay_in_the_optical_frame_and_diagnostics_say_why(graph):
    parameters = {'frames__target_frame': 'map', 'frames__tf_wait_s': 0.05}
    robot = Robot(graph, *PLACED, **parameters)
    robot.hears_tf()
    robot.see(5)
    assert robot.frames_heard(1) == [FRAME_ID]
    level, text, _ = graph.statuses()['tf']
    assert level == WARN
    assert "instead of 'map': frame 'map': expected one of those in TF" in text
    assert 'base_link' in text
    robot.drive(4)
    robot.see(5)
    level, text, _ = graph.statuses()['tf']
    assert (level, "'map' -> 'base_link': requested at 5.000000 s" in text) == (WARN, True)
    robot.drive(6)
    robot.see(5.5)
    assert robot.frames_heard(3) == [FRAME_ID, FRAME_ID, 'map']
    assert graph.statuses()['tf'][0] == OK


def test_tf_is_heard_when_it_is_needed_and_only_then(graph):
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
    robot.hears_tf()
    robot.drive(4, 6)
    robot.see(5)
    choose('')
    graph.spin_until(lambda: not any(count() for count in listeners.values()), 'silence')
    robot.see(5.5)
    assert robot.frames_heard(2) == ['map', FRAME_ID]


def test_a_ros_without_tf_refuses_a_target_and_goes_on(graph, monkeypatch):
    robot = Robot(graph, 'detections_3d')
    for name in ('tf2_msgs', 'tf2_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    message_class.cache_clear()
    (result,) = graph.node.set_parameters([Parameter('frames.target_frame', value='map')])
    assert not result.successful
    assert 'tf2_msgs/msg/TFMessage: not in this ROS installation' in result.reason
    robot.see(1)
    assert robot.frames_heard(1) == [FRAME_ID]
    assert graph.node.get_parameter('frames.target_frame').value == ''
    assert graph.statuses()['tf'][:2] == (OK, 'not needed so far')


def test_a_jump_of_time_forgets_what_moves(graph):
    parameters = {'frames__target_frame': 'map', 'frames__tf_wait_s': 0.05}
    robot = Robot(graph, 'detections_3d', use_sim_time=True, **parameters)
    robot.hears_tf()
    clock = graph.publisher('/clock', 'rosgraph_msgs/msg/Clock')
    graph.spin_until(lambda: clock.get_subscription_count() >= 1, 'clock')
    now = message_class('rosgraph_msgs/msg/Clock')()
    now.clock.sec = 6
    clock.publish(now)
    robot.drive(4, 6)
    robot.see(5)
    now.clock.sec = 5
    clock.publish(now)
    graph.spin_until(graph.node._worker._jumped.is_set, 'jump')
    robot.see(5)
    assert robot.frames_heard(2) == ['map', FRAME_ID]
    robot.drive(4, 6)
    robot.see(5)
    assert robot.frames_heard(3)[-1] == 'map'


def test_a_bad_transform_is_named_and_costs_no_other(graph):
    robot = Robot(graph, 'detections_3d', frames__target_frame='map')
    robot.hears_tf()
    robot.drive(4, 6)
    reports = graph.heard.setdefault('/diagnostics', [])
    graph.statuses()
    tell(robot.moving, transform('base_link', 'arm', 5 * SECOND_NS, rotation=(0.0,) * 4))
    robot.see(5)
    assert robot.frames_heard(1) == ['map']

    def told():
        texts = [
            status.message
            for report in reports
            for status in report.status
            if status.name.endswith(': tf') and status.level == WARN
        ]
        return any("'base_link' -> 'arm': expected a unit quaternion" in text for text in texts)

    graph.spin_until(told, 'report')


# rclpy's own warning of the same uses what rclpy has deprecated.
@pytest.mark.filterwarnings('ignore:Deprecated in favor of:DeprecationWarning')
def test_a_static_transform_that_is_not_latched_is_named(graph):
    robot = Robot(graph, 'detections_3d', frames__target_frame='map')
    robot.hears_tf()
    graph.publisher('/tf_static', TF, RELIABLE)
    graph.spin_until(lambda: graph.node.count_publishers('/tf_static') == 2, 'publisher')
    level, text, _ = graph.statuses()['connections']
    assert level == ERROR
    assert '/tf_static: our subscription is reliable and transient_local' in text
    assert 'qos_overrides./tf_static.subscription.durability' in text


class TestSensorDepth:
    """A depth camera 5 cm beside the colour camera, of half its size, in front of a wall."""

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
        if joined:
            tell(
                robot.static,
                transform('base_link', FRAME_ID, 0, (0.2, 0.0, 1.0), FORWARD),
                transform(FRAME_ID, self.DEPTH_FRAME, 0, (0.05, 0.0, 0.1)),
            )
        if info:
            message = conversions.camera_info_message(
                MAKE, header(SECOND_NS, self.DEPTH_FRAME), self.DEPTH_CAMERA
            )
            depth_info.publish(message)
        metres = np.full(self.DEPTH_CAMERA.size_hw, self.WALL_M, np.float32)
        metres[:, :4] = np.nan
        stamp = header(SECOND_NS, self.DEPTH_FRAME)
        depth.publish(conversions.depth_message(MAKE, stamp, MetricDepth(metres)))
        node = graph.node
        graph.spin_until(lambda: node._depth_buffer._history.settled(SECOND_NS), 'depth')
        graph.spin_until(lambda: not info or node._depth_camera.info is not None, 'calibration')
        graph.spin_until(lambda: not joined or self.DEPTH_FRAME in robot.told(), 'transform')
        robot.see(1)
        return graph

    def test_it_is_registered_to_the_image(self, graph):
        self.start(graph)
        graph.spin_until(lambda: graph.heard['depth/image'], 'depth')
        (message,) = graph.heard['depth/image']
        metres = np.frombuffer(bytes(message.data), np.float32).reshape(SIZE_HW)
        # The wall is 0.1 m farther from the colour camera.
        known = np.isfinite(metres)
        assert np.allclose(metres[known], self.WALL_M + 0.1, atol=1e-5)
        # Where each pixel's ray meets the wall, as the depth camera sees it.
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
            ('info', 'no CameraInfo of the depth camera has come on /depth/camera_info'),
            ('joined', f'frame {DEPTH_FRAME!r}: expected one of those in TF'),
        ],
    )
    def test_or_refused_with_the_setting_of_the_driver(self, graph, missing, message):
        self.start(graph, **{missing: False})
        graph.spin_until(lambda: graph.heard['detections'], 'detections')
        level, text, _ = graph.statuses()['depth']
        assert level == ERROR
        assert message in text
        assert 'align_depth.enable:=true for RealSense' in text
        assert not graph.heard['depth/image']
