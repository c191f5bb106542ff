"""A recording processed offline yields what the node publishes over DDS, to the byte."""

from bags import folder_frames, generated_frames, RgbdFrame, write_rgbd_bag
import pytest

pytest.importorskip('rclpy')

from graph import LATCHED, TYPES
from live import play
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import Reader

from robot_perception.bag.job import BagJob
from robot_perception.bag.processing import process_bags
from robot_perception.conversions import FrameTiming, timing_message
from robot_perception.nodes.messages import message_class, RosMessages
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources.typestore import message_store
from robot_perception.stream import LABEL_INFO, LABEL_INFO_TYPE
from robot_perception.world import sequence

pytestmark = pytest.mark.ros

STORE = message_store()


def offline(bag, output, preset, **parameters):
    """Process a bag and return topic -> (time of recording, serialized message)."""
    named = {name.replace('__', '.'): value for name, value in parameters.items()}
    config = PerceptionConfig.from_preset(preset, named)
    process_bags(BagJob((bag,), output, config, topics=tuple(TYPES.keys() - {'timing'})))
    with Reader(output) as reader:
        found = {}
        for connection, stamp_ns, data in reader.messages():
            found.setdefault(connection.topic, []).append((stamp_ns, bytes(data)))
    return found


def without_times(message):
    """Remove the times that the node has measured."""
    if hasattr(message, 'timing'):
        unknown = FrameTiming.unknown()
        message.timing = timing_message(RosMessages(), message.header, unknown)
    return message


def serialized(message, type_name):
    """Serialize as DDS does, but with zeros in its uninitialized padding."""
    cdr = serialize_message(message)
    clean = bytes(STORE.serialize_cdr(STORE.deserialize_cdr(cdr, type_name), type_name))
    assert len(clean) == len(cdr)
    return clean


def assert_same_as_live(graph, bag, tmp_path, preset, **parameters):
    graph.subscribe(f'/perception/{LABEL_INFO}', LABEL_INFO_TYPE, LATCHED, name=LABEL_INFO)
    samples = play(graph, bag, preset=preset, **parameters)
    recorded_ns = [one.stamp_ns for one in samples if one.role.value.endswith('image')]
    found = offline(bag, tmp_path / 'out', preset, features__publish_patches=True, **parameters)
    assert set(found) == {f'/perception/{topic}' for topic in TYPES if topic != 'timing'} | {
        f'/perception/{LABEL_INFO}'
    }
    for topic in TYPES:
        if topic == 'timing':
            continue
        rows = found[f'/perception/{topic}']
        assert [stamp_ns for stamp_ns, _ in rows] == recorded_ns
        live = [serialized(without_times(one), TYPES[topic]) for one in graph.received[topic]]
        assert [cdr for _, cdr in rows] == live, topic
    ((_, label_info),) = found[f'/perception/{LABEL_INFO}']
    recorded = deserialize_message(label_info, message_class(LABEL_INFO_TYPE))
    (received,) = graph.received[LABEL_INFO]
    assert (recorded.class_map, recorded.threshold) == (received.class_map, received.threshold)


@pytest.mark.parametrize('source', ['model', 'sensor', 'fused'])
def test_stub(graph, tmp_path, source):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(8, (48, 64)))
    assert_same_as_live(graph, tmp_path / 'bag', tmp_path, 'stub', depth__source=source)
    # The frames compared are not empty.
    assert all(len(item.bbox_3d) for item in graph.received['scene'][-1].objects)


def test_compressed_images(graph, tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(4, (48, 64)), compressed=True)
    assert_same_as_live(graph, tmp_path / 'bag', tmp_path, 'stub', input__transport='compressed')


@pytest.mark.data
def test_a_real_recording(graph, tmp_path, recordings):
    write_rgbd_bag(tmp_path / 'bag', folder_frames(recordings / 'redkitchen', 3))
    assert_same_as_live(graph, tmp_path / 'bag', tmp_path, 'stub', depth__source='fused')


def test_real_networks(graph, tmp_path):
    pytest.importorskip('transformers')
    world = [
        RgbdFrame(frame.image.rgb, None, frame.camera)
        for frame in sequence(900_136, 3, (240, 320))
    ]
    write_rgbd_bag(tmp_path / 'bag', world)
    assert_same_as_live(graph, tmp_path / 'bag', tmp_path, 'demo', cpu_threads=1, device='cpu')
