"""Truth out of a recording of the demo world equals that of the world itself."""

import numpy as np
import pytest
from reasons import raises

pytest.importorskip('open3d')

from robot_perception import PerceptionPipeline
from robot_perception.core.errors import SourceError
from robot_perception.evaluation import evaluate, read_bag_ground_truth
from robot_perception.sources.bag_file import open_bag
from robot_perception.sources.bag_writer import BagWriter
from robot_perception.sources.typestore import message_store
from robot_perception.world import record, sequence

pytestmark = pytest.mark.slow

SEED, FRAMES, SIZE_HW = 60, 3, (60, 80)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('truth') / 'bag'
    record(path, SEED, FRAMES, SIZE_HW)
    return path


def copy(source, target, change=lambda name, stamp_ns, content: content, late=None):
    """Write a bag of the messages that ``change`` gives for each of another bag.

    Those of the topic ``late`` are recorded after the next frame.
    """
    reader = open_bag(source)
    topics = [topic.name for topic in reader.topics()]
    types = message_store()
    with BagWriter(target, types=types) as writer:
        for message in reader.messages(topics):
            content = types.deserialize_cdr(message.data, message.type_name)
            content = change(message.topic, message.stamp_ns, content)
            stamp_ns = message.stamp_ns + (50_000_000 if message.topic == late else 0)
            if content is not None:
                writer.write(message.topic, message.type_name, content, stamp_ns)
    reader.close()
    return target


def test_it_is_the_truth_of_the_world(bag):
    truths = list(read_bag_ground_truth(bag))
    assert len(truths) == FRAMES
    for truth, frame in zip(truths, sequence(SEED, FRAMES, SIZE_HW), strict=True):
        assert np.array_equal(truth.image.rgb, frame.image.rgb)
        assert truth.image.stamp_ns == frame.image.stamp_ns
        assert truth.camera == frame.camera
        assert np.array_equal(truth.depth.meters, frame.depth.meters, equal_nan=True)
        assert np.array_equal(truth.masks.pixels, frame.masks().pixels)
        for name in ('boxes_xyxy', 'scores', 'track_ids'):
            assert np.array_equal(getattr(truth.detections, name), getattr(frame.detections, name))
        assert truth.detections.class_names == frame.detections.class_names
        assert truth.scene_type is None
        for own, true in zip(truth.objects, frame.objects(), strict=True):
            assert own.track_id == true.track_id
            assert own.position.centroid_m == pytest.approx(true.position.centroid_m)
            assert own.position.depth_m == pytest.approx(true.position.depth_m)
            assert own.position.box == true.position.box
            np.testing.assert_allclose(
                own.position.points_covariance_m2, true.position.points_covariance_m2, atol=1e-12
            )
            # What is known to a micrometer is neither unknown nor without any error.
            np.testing.assert_array_equal(own.position.covariance_m2, np.diag([1e-12] * 3))


def test_jpeg(tmp_path):
    path = tmp_path / 'bag'
    record(path, SEED, 1, SIZE_HW, compressed=True)
    (truth,) = read_bag_ground_truth(path)
    (frame,) = sequence(SEED, 1, SIZE_HW)
    away = truth.image.rgb.astype(int) - frame.image.rgb
    assert 0 < np.abs(away).mean() < 10


@pytest.mark.parametrize('topic', ['/truth/depth', '/camera/camera_info', '/camera/image_raw'])
def test_a_missing_topic_is_named(bag, tmp_path, topic):
    def without(name, stamp_ns, content):
        return None if name == topic else content

    path = copy(bag, tmp_path / 'less', without)
    with raises(SourceError, 'missing_topic', match=f'got one without {topic}'):
        list(read_bag_ground_truth(path))


def test_a_frame_that_lacks_a_message_is_left_out(bag, tmp_path):
    second = next(iter(sequence(SEED, 1, SIZE_HW))).image.stamp_ns

    def without(name, stamp_ns, content):
        return None if (name, stamp_ns) == ('/truth/depth', second) else content

    truths = list(read_bag_ground_truth(copy(bag, tmp_path / 'less', without)))
    assert len(truths) == FRAMES - 1
    assert second not in {truth.image.stamp_ns for truth in truths}


def test_messages_may_come_late(bag, tmp_path):
    late = read_bag_ground_truth(copy(bag, tmp_path / 'late', late='/truth/depth'))
    for truth, frame in zip(late, sequence(SEED, FRAMES, SIZE_HW), strict=True):
        assert truth.image.stamp_ns == frame.image.stamp_ns
        assert np.array_equal(truth.depth.meters, frame.depth.meters, equal_nan=True)


@pytest.mark.parametrize('unknown', [0.0, np.nan])
def test_zeros_of_earlier_recordings_are_an_unknown_covariance(bag, tmp_path, unknown):
    def cleared(name, stamp_ns, content):
        if name == '/truth/detections_3d':
            for item in content.detections:
                covariance = np.array(item.results[0].pose.covariance).reshape(6, 6)
                covariance[:3, :3] = unknown
                item.results[0].pose.covariance = covariance.ravel()
        return content

    for truth in read_bag_ground_truth(copy(bag, tmp_path / 'cleared', cleared)):
        assert all(item.position.covariance_m2 is None for item in truth.objects)


def test_an_object_without_a_place(bag, tmp_path):
    def without(name, stamp_ns, content):
        if name == '/truth/detections_3d':
            content.detections.pop(0)
        return content

    for truth in read_bag_ground_truth(copy(bag, tmp_path / 'less', without)):
        positions = [item.position for item in truth.objects]
        assert positions[0] is None
        assert None not in positions[1:]


def test_messages_that_contradict_each_other(bag, tmp_path):
    def smaller(name, stamp_ns, content):
        if name == '/truth/depth':
            content.height //= 2
            content.data = content.data[: len(content.data) // 2]
        return content

    path = copy(bag, tmp_path / 'odd', smaller)
    with raises(SourceError, 'damaged', match=r'size of the instances .*Record it again'):
        list(read_bag_ground_truth(path))


def test_objects_without_a_number(bag, tmp_path):
    def nameless(name, stamp_ns, content):
        if name == '/truth/detections':
            content.detections[0].id = ''
        return content

    path = copy(bag, tmp_path / 'odd', nameless)
    with raises(SourceError, 'damaged'):
        list(read_bag_ground_truth(path))


def test_not_a_bag(tmp_path):
    with pytest.raises(SourceError):
        list(read_bag_ground_truth(tmp_path))


def test_a_pipeline_is_evaluated_on_a_bag(bag):
    pipeline = PerceptionPipeline.from_preset('stub')
    report = evaluate(
        (pipeline.process(truth.image, truth.camera), truth)
        for truth in read_bag_ground_truth(bag)
    )
    assert report.frames == FRAMES
    found = {row.name: row.value for row in report.rows}
    assert found['known pixels'] == 1
    assert found['recall'] == 0
