"""One recording gives equal scenes through view and export, through a bag, and live over DDS."""

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs.msg')

from graph import wait_until
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader

from robot_perception.bag import BagJob, iter_scenes, process_bags, read_results
from robot_perception.conversions import (
    FrameTiming,
    header_message,
    RosbagsFactory,
    scene_message,
    timing_message,
)
from robot_perception.core import CameraModel
from robot_perception.faults.depth_mutations import compressed_depth
from robot_perception.nodes.messages import RosMessages
from robot_perception.nodes.replay_node import ReplayNode
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.sources import message_store, Role, standard_types
from robot_perception.sources.bag_writer import BagWriter
from robot_perception.sources.messages import camera_info, color_image, depth_image
from robot_perception.stream import DEPTHS

pytestmark = pytest.mark.ros

MS = 1_000_000
OK = b'\x00'
BEGIN_NS = 1_700_000_000_000_000_000
COUNT, PERIOD_MS = 8, 120
COLOR, DEPTH, BASE, MAP = 'color_optical_frame', 'depth_optical_frame', 'base_link', 'map'
COLOR_CAMERA = CameraModel.nominal((48, 64), 60.0)
DEPTH_CAMERA = CameraModel.nominal((40, 56), 75.0)
# Optical axes of a camera that looks along x and down by 0.2 rad, of a frame with z up.
FORWARD = (-0.5475, 0.5475, -0.4475, 0.4475)
SCENE = 'robot_perception/msg/Scene'
TYPES = message_store()
PARAMETERS = {
    'depth.source': 'sensor',
    # Live these are waits of a machine that may be busy.
    'depth.max_wait_s': 2.0,
    'frames.tf_wait_s': 2.0,
    'frames.gravity_frame': MAP,
    'frames.fixed_frame': MAP,
    'frames.target_frame': MAP,
    'tracking.enabled': True,
}


def transform(parent, child, stamp_ns, translation, rotation):
    types = standard_types().types
    stamp = types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    item = types['geometry_msgs/msg/TransformStamped'](
        types['std_msgs/msg/Header'](stamp, parent),
        child,
        types['geometry_msgs/msg/Transform'](
            types['geometry_msgs/msg/Vector3'](*translation),
            types['geometry_msgs/msg/Quaternion'](*rotation),
        ),
    )
    message = types['tf2_msgs/msg/TFMessage']([item])
    return bytes(standard_types().serialize_cdr(message, Role.TF.type_name))


def moving(stamp_ns):
    """Return the pose of a base that drives along x of the map and turns."""
    seconds = (stamp_ns - BEGIN_NS) / 1e9
    half = 0.1 * seconds
    turn = (0.0, 0.0, float(np.sin(half)), float(np.cos(half)))
    return transform(MAP, BASE, stamp_ns, (0.5 * seconds, 0.1, 0.0), turn)


def compressed_depth_image(raw, stamp_ns, frame_id):
    """Serialize depth as the transport compressedDepth writes it."""
    types = standard_types().types
    stamp = types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    message = types['sensor_msgs/msg/CompressedImage'](
        types['std_msgs/msg/Header'](stamp, frame_id),
        '16UC1; compressedDepth rvl',
        np.frombuffer(compressed_depth(raw, 'rvl'), np.uint8),
    )
    return bytes(standard_types().serialize_cdr(message, Role.COMPRESSED_DEPTH.type_name))


def messages(depth_role):
    """Yield topic, role, time of recording and message, in no order."""
    write_depth, depth_topic = {
        Role.DEPTH: (depth_image, '/camera/depth/image_rect_raw'),
        Role.COMPRESSED_DEPTH: (
            compressed_depth_image,
            '/camera/depth/image_rect_raw/compressedDepth',
        ),
    }[depth_role]
    rng = np.random.default_rng(3)
    rows = np.linspace(0, 500, DEPTH_CAMERA.size_hw[0])[:, None]
    for child, shift in ((COLOR, 0.0), (DEPTH, 0.05)):
        static = transform(BASE, child, BEGIN_NS, (0.2, shift, 0.8), FORWARD)
        yield '/tf_static', Role.TF_STATIC, BEGIN_NS - 60 * MS, static
    for ms in range(-50, COUNT * PERIOD_MS + 100, 20):
        stamp_ns = BEGIN_NS + ms * MS
        yield '/tf', Role.TF, stamp_ns + 5 * MS, moving(stamp_ns)
    for index in range(COUNT):
        stamp_ns = BEGIN_NS + index * PERIOD_MS * MS
        image = color_image(rng.integers(0, 256, (48, 64, 3), np.uint8), stamp_ns, COLOR)
        noise = rng.integers(0, 100, DEPTH_CAMERA.size_hw)
        depth = write_depth((1500 + rows + noise).astype(np.uint16), stamp_ns, DEPTH)
        infos = (
            ('/camera/color', Role.CAMERA_INFO, COLOR_CAMERA, COLOR),
            ('/camera/depth', Role.DEPTH_CAMERA_INFO, DEPTH_CAMERA, DEPTH),
        )
        for namespace, role, camera, frame_id in infos:
            info = camera_info(camera, stamp_ns, frame_id)
            yield f'{namespace}/camera_info', role, stamp_ns + MS, info
        received_ns = stamp_ns + 3 * MS
        yield '/camera/color/image_raw', Role.IMAGE, received_ns, image
        late_ns = round(60 * MS * index / (COUNT - 1))
        yield depth_topic, depth_role, received_ns + late_ns, depth


@pytest.fixture(params=[Role.DEPTH, Role.COMPRESSED_DEPTH], ids=['raw', 'compressed'])
def depth_role(request):
    return request.param


@pytest.fixture
def bag(tmp_path, depth_role):
    with BagWriter(tmp_path / 'bag') as writer:
        for topic, role, recorded_ns, cdr in sorted(
            messages(depth_role), key=lambda item: item[2]
        ):
            writer.write(topic, role.type_name, cdr, recorded_ns)
    return tmp_path / 'bag'


def viewed(bag):
    """Return the scenes that view and export show, as messages of the node."""
    factory, notes = RosbagsFactory(TYPES), []
    config = PerceptionConfig.from_preset('stub', PARAMETERS)
    scenes = list(
        iter_scenes(str(bag), lambda: PerceptionPipeline.load(config), note=notes.append)
    )
    assert notes == []
    made = []
    for scene in scenes:
        header = header_message(factory, scene.image.stamp_ns, scene.image.frame_id)
        message = scene_message(factory, header, scene, FrameTiming.unknown())
        made.append(bytes(TYPES.serialize_cdr(message, SCENE)))
    return scenes, made


def processed(bag, output):
    """Return the scenes of a result bag, and their messages."""
    notes = []
    job = BagJob((bag,), output, PerceptionConfig.from_preset('stub', PARAMETERS))
    report = process_bags(job, on_note=notes.append)
    counts = report.counts
    assert notes == []
    assert report.damage == ()
    assert (counts.processed, dict(counts.rejected)) == (COUNT, {})
    problems = (counts.without_calibration, counts.without_depth, counts.without_frames)
    assert [dict(one) for one in problems] == [{}, {}, {}]
    with Reader(output) as reader:
        made = [
            bytes(data)
            for connection, _, data in reader.messages()
            if connection.topic == '/perception/scene'
        ]
    return [item.scene for item in read_results(output)], made


class Pace:
    """Holds the replay at the end of each period until the node has published its scene."""

    def __init__(self, graph, scenes):
        self._synchronizer = graph.node.cameras[0].synchronizer
        self._scenes = scenes
        self._images = self._depths = 0

    def __call__(self, sample):
        self._images += sample.role is Role.IMAGE
        self._depths += sample.role in DEPTHS
        if sample.role is Role.CAMERA_INFO:
            wait_until(lambda: self._synchronizer.camera_info is not None)
        elif sample.role is Role.DEPTH_CAMERA_INFO:
            wait_until(lambda: self._synchronizer.depth_camera_info is not None)
        elif sample.role is Role.TF and self._depths == self._images:
            newest_ns = BEGIN_NS + (self._images - 1) * PERIOD_MS * MS
            if sample.stamp_ns > newest_ns + 25 * MS:
                wait_until(lambda: len(self._scenes) >= self._images)


def published(graph, bag, depth_role):
    """Return the scenes that the node publishes for a replay, as messages without times."""
    named = {name.replace('.', '__'): value for name, value in PARAMETERS.items()}
    graph.start(**named)
    graph.subscribe_outputs('scene')
    scenes = graph.received['scene']
    replay = ReplayNode(
        context=graph.context,
        parameter_overrides=[Parameter('source', value=str(bag))],
        on_sample=Pace(graph, scenes),
    )
    graph.nodes.append(replay)
    graph.executor.add_node(replay)
    names = {one.topic_name for one in replay.publishers}
    depth = '/depth' if depth_role is Role.DEPTH else '/depth/compressedDepth'
    topics = {'/image', '/camera_info', depth, '/depth/camera_info', '/tf', '/tf_static'}
    assert topics <= names
    for publisher in replay.publishers:
        if publisher.topic_name in topics:
            graph.connect(publisher)
    replay.start()
    graph.spin_until(replay.finished.done, 'end of the replay')
    assert replay.finished.result().error is None
    counts = graph.counts()
    assert (counts.published, counts.dropped, counts.rejected) == (COUNT, {}, {})
    # The recording is old and over.
    problems = {name: text for name, (level, text, _) in graph.statuses().items() if level != OK}
    assert set(problems) <= {'clock', 'frames'}
    made = []
    for message in scenes:
        message.timing = timing_message(RosMessages(), message.header, FrameTiming.unknown())
        # DDS leaves the padding undefined.
        content = TYPES.deserialize_cdr(serialize_message(message), SCENE)
        made.append(bytes(TYPES.serialize_cdr(content, SCENE)))
    return made


def test_view_bag_and_node_give_equal_scenes(graph, bag, depth_role, tmp_path):
    scenes, view = viewed(bag)
    read, results = processed(bag, tmp_path / 'results')
    live = published(graph, bag, depth_role)
    assert len(view) == COUNT
    assert results == view
    assert live == view
    for ours, theirs in zip(scenes, read, strict=True):
        assert_equal(ours, theirs)
    assert_has_substance(scenes)


def assert_equal(ours, theirs):
    np.testing.assert_array_equal(ours.depth.meters, theirs.depth.meters)
    assert len(ours.objects) == len(theirs.objects)
    for one, other in zip(ours.objects, theirs.objects, strict=True):
        assert (one.position is None) == (other.position is None)
        assert one.track_id == other.track_id
        if one.position is not None:
            assert one.position.box == other.position.box
            assert one.position.velocity_mps == other.position.velocity_mps


def assert_has_substance(scenes):
    """The comparison is not of nothing with nothing."""
    last = scenes[-1]
    assert last.depth.size_hw == last.image.size_hw == COLOR_CAMERA.size_hw
    assert np.isfinite(last.depth.meters).mean() > 0.5
    located = [item for item in last.objects if item.position is not None]
    assert located
    # Upright in the map, and so turned in the tilted optical frame.
    assert all(abs(item.position.box.rotation_xyzw[3]) < 0.99 for item in located)
    assert any(item.position.velocity_mps is not None for item in located)
