"""The node publishes over DDS what the library computes from the same frames."""

from bags import folder_frames, generated_frames, RgbdFrame, write_rgbd_bag
import numpy as np
import pytest

pytest.importorskip('rclpy')

from graph import FACTORY, TYPES
from live import decode_sample, play, READERS
from rclpy.serialization import deserialize_message, serialize_message

from robot_perception import conversions
from robot_perception.conversions import FrameTiming
from robot_perception.nodes.messages import available_outputs, message_class
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.sources import Role
from robot_perception.stream import OutputFrame
from robot_perception.world import sequence

pytestmark = pytest.mark.ros

NO_TIMING = FrameTiming((), (), (), (), (), window=0, age_s=0.0)
# Measured times differ between runs.
COMPARED = [topic for topic in TYPES if topic != 'timing']


def on_the_wire(message):
    """Return a message with the precision that numbers have after serialization."""
    return deserialize_message(serialize_message(message), type(message))


def process_samples(samples, pipeline):
    """Yield topic -> message for each image, from the pipeline and the table of outputs."""
    markers, info = frozenset(), None
    for sample in samples:
        if sample.role is Role.CAMERA_INFO:
            info = decode_sample(sample)
        elif sample.role in READERS:
            message = decode_sample(sample)
            frame = OutputFrame(
                factory=FACTORY,
                header=message.header,
                scene=pipeline.process(
                    READERS[sample.role](message), conversions.to_camera(info, rectified=False)
                ),
                camera_info=info,
                timing=NO_TIMING,
                config=pipeline.config.with_values({'features.publish_patches': True}),
                shown_markers=markers,
            )
            markers = frame.markers_left
            outputs = (output for output in available_outputs() if output.topic in TYPES)
            yield {output.topic: on_the_wire(output.make(frame)) for output in outputs}


def differences(got, expected, path=''):
    """Yield where two messages differ; two unknown numbers do not."""
    if hasattr(expected, 'get_fields_and_field_types'):
        assert type(got) is type(expected)
        for name in expected.get_fields_and_field_types():
            yield from differences(getattr(got, name), getattr(expected, name), f'{path}.{name}')
    elif isinstance(expected, list) and expected and not isinstance(expected[0], str):
        if len(got) != len(expected):
            yield path
            return
        for index, (one, other) in enumerate(zip(got, expected, strict=True)):
            yield from differences(one, other, f'{path}[{index}]')
    elif isinstance(expected, str | bytes | bool | list):
        if got != expected:
            yield path
    elif not np.array_equal(np.asarray(got), np.asarray(expected), equal_nan=True):
        yield path


def assert_equal(received, samples, pipeline):
    count = 0
    for index, frame in enumerate(process_samples(samples, pipeline)):
        count += 1
        frame['scene'].timing = received['scene'][index].timing
        for topic in COMPARED:
            found = list(differences(received[topic][index], frame[topic]))
            assert not found, f'frame {index}, {topic}: {found}'
    assert {len(received[topic]) for topic in TYPES} == {count}
    return count


@pytest.mark.parametrize('compressed', [False, True], ids=['raw', 'jpeg'])
def test_stub_on_generated_frames(graph, tmp_path, compressed):
    frames = generated_frames(12, (48, 64))
    write_rgbd_bag(tmp_path / 'bag', frames, compressed=compressed)
    transport = 'compressed' if compressed else 'raw'
    samples = play(graph, tmp_path / 'bag', preset='stub', input__transport=transport)
    assert assert_equal(graph.received, samples, PerceptionPipeline.from_preset('stub')) == 12
    # The frames compared are not empty.
    scene = graph.received['scene'][0]
    assert len(scene.objects) == 3
    assert all(len(item.bbox_3d) for item in scene.objects)


@pytest.mark.data
def test_stub_on_a_real_recording(graph, tmp_path, recordings):
    frames = folder_frames(recordings / 'redkitchen', 3)
    write_rgbd_bag(tmp_path / 'bag', frames)
    samples = play(graph, tmp_path / 'bag', preset='stub')
    assert assert_equal(graph.received, samples, PerceptionPipeline.from_preset('stub')) == 3


def test_real_networks(graph, tmp_path):
    pytest.importorskip('transformers')
    world = [
        RgbdFrame(frame.image.rgb, None, frame.camera)
        for frame in sequence(900_136, 3, (240, 320))
    ]
    write_rgbd_bag(tmp_path / 'bag', world)
    samples = play(graph, tmp_path / 'bag', preset='demo', cpu_threads=1, device='cpu')
    pipeline = PerceptionPipeline.from_preset('demo', {'cpu_threads': 1, 'device': 'cpu'})
    assert assert_equal(graph.received, samples, pipeline) == 3
    assert any(message.detections for message in graph.received['detections'])


def test_the_comparison_detects_a_difference():
    point = message_class('geometry_msgs/msg/Point')
    assert list(differences(point(x=1.0), point(x=1.0))) == []
    assert list(differences(point(x=float('nan')), point(x=float('nan')))) == []
    assert list(differences(point(x=1.0), point(x=1.5))) == ['.x']
    array = message_class('robot_perception/msg/SceneFeatures')
    assert list(differences(array(vector=[1.0]), array(vector=[1.0, 2.0]))) == ['.vector']
    image = message_class('sensor_msgs/msg/Image')
    assert list(differences(image(data=b'ab'), image(data=b'ac'))) == ['.data']
    markers = message_class('visualization_msgs/msg/MarkerArray')
    marker = message_class('visualization_msgs/msg/Marker')
    one, other = markers(markers=[marker(ns='a')]), markers(markers=[marker(ns='b')])
    assert list(differences(one, other)) == ['.markers[0].ns']
