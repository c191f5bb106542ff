import json
from pathlib import Path
import subprocess
import sys

import cv2
import numpy as np
import pytest
from reasons import raises
from rosbags.highlevel import AnyReader

from robot_perception import conversions
from robot_perception.cli.main import main
from robot_perception.core.errors import InputError, OutputError
from robot_perception.sources import open_source, Role
from robot_perception.world import record, sense_depth, sequence
from robot_perception.world.scene_spec import RandomStream

pytestmark = pytest.mark.slow

SIZE, SEED, COUNT = (60, 80), 60, 3
TOPICS = {
    '/camera/camera_info': 'sensor_msgs/msg/CameraInfo',
    '/camera/depth_registered/image_raw': 'sensor_msgs/msg/Image',
    '/camera/image_raw': 'sensor_msgs/msg/Image',
    '/tf': 'tf2_msgs/msg/TFMessage',
    '/truth/demo_world': 'std_msgs/msg/String',
    '/truth/depth': 'sensor_msgs/msg/Image',
    '/truth/detections': 'vision_msgs/msg/Detection2DArray',
    '/truth/detections_3d': 'vision_msgs/msg/Detection3DArray',
    '/truth/instances': 'sensor_msgs/msg/Image',
}


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('world') / 'scene'
    record(path, SEED, COUNT, SIZE)
    return path


@pytest.fixture(scope='module')
def frames():
    return list(sequence(SEED, COUNT, SIZE))


def read(path):
    """Messages by topic, read with nothing but the definitions in the bag."""
    found = {}
    with AnyReader([path]) as reader:
        for connection, stamp_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault((connection.topic, connection.msgtype), []).append(
                (stamp_ns, message)
            )
    return found


def test_topics_and_headers(bag, frames):
    found = read(bag)
    assert dict(found).keys() == set(TOPICS.items())
    ((stamp_ns, mark),) = found.pop(('/truth/demo_world', TOPICS['/truth/demo_world']))
    assert (stamp_ns, json.loads(mark.data)) == (frames[0].image.stamp_ns, {'seed': SEED})
    for (topic, _), messages in found.items():
        assert len(messages) == COUNT
        for (stamp_ns, message), frame in zip(messages, frames, strict=True):
            assert stamp_ns == frame.image.stamp_ns
            header = message.transforms[0].header if topic == '/tf' else message.header
            frame_id = 'world' if topic == '/tf' else 'camera_optical_frame'
            assert conversions.read_header(header) == (stamp_ns, frame_id)


def test_images_and_calibration(bag, frames):
    found = read(bag)
    for index, frame in enumerate(frames):
        image = found['/camera/image_raw', 'sensor_msgs/msg/Image'][index][1]
        assert np.array_equal(conversions.to_image(image).rgb, frame.image.rgb)
        info = found['/camera/camera_info', 'sensor_msgs/msg/CameraInfo'][index][1]
        assert conversions.to_camera(info, rectified=False) == frame.camera


def test_measured_and_exact_depth(bag, frames):
    found = read(bag)
    for index, frame in enumerate(frames):
        true = conversions.to_depth(found['/truth/depth', 'sensor_msgs/msg/Image'][index][1])
        assert np.array_equal(true.meters, frame.depth.meters, equal_nan=True)
        message = found['/camera/depth_registered/image_raw', 'sensor_msgs/msg/Image'][index][1]
        assert message.encoding == '16UC1'
        rng = np.random.default_rng([SEED, RandomStream.DEPTH, index])
        expected = sense_depth(frame.depth, frame.camera, rng)
        assert np.array_equal(message.data.view('<u2').reshape(SIZE), expected)


def test_ground_truth_of_objects(bag, frames):
    found = read(bag)
    for index, frame in enumerate(frames):
        instances = found['/truth/instances', 'sensor_msgs/msg/Image'][index][1]
        assert instances.encoding == 'mono16'
        assert np.array_equal(instances.data.view('<u2').reshape(SIZE), frame.instances)
        flat = found['/truth/detections', TOPICS['/truth/detections']][index][1].detections
        solid = found['/truth/detections_3d', TOPICS['/truth/detections_3d']][index][1].detections
        assert len(flat) == len(solid) == len(frame.detections) > 0
        for at, (two, three) in enumerate(zip(flat, solid, strict=True)):
            assert two.results[0].hypothesis.class_id == frame.detections.class_names[at]
            assert two.results[0].hypothesis.score == pytest.approx(frame.detections.scores[at])
            assert two.id == three.id == str(frame.detections.track_ids[at])
            left, _, right, _ = frame.detections.boxes_xyxy[at]
            assert two.bbox.center.position.x == pytest.approx((left + right) / 2)
            assert two.bbox.size_x == pytest.approx(right - left)
            center, box = three.bbox.center.position, frame.boxes_3d[at]
            assert (center.x, center.y, center.z) == pytest.approx(box.center_m)
            size = three.bbox.size
            assert (size.x, size.y, size.z) == pytest.approx(box.size_m)


def test_transform_is_the_pose_of_the_camera(bag, frames):
    found = read(bag)['/tf', 'tf2_msgs/msg/TFMessage']
    for (_, message), frame in zip(found, frames, strict=True):
        (stamped,) = message.transforms
        assert stamped.child_frame_id == 'camera_optical_frame'
        shift, turn = stamped.transform.translation, stamped.transform.rotation
        assert (shift.x, shift.y, shift.z) == pytest.approx(frame.world_from_camera.vector)
        expected = frame.world_from_camera.quaternion_xyzw
        assert (turn.x, turn.y, turn.z, turn.w) == pytest.approx(expected)


def test_a_source_reads_the_camera_topics_only(bag):
    with open_source(str(bag)) as source:
        assert source.roles == {Role.IMAGE, Role.CAMERA_INFO, Role.DEPTH, Role.TF}
        assert source.notes == ()
        assert '/camera/image_raw as image' in source.description
        assert len(list(source)) == 4 * COUNT


def test_compressed(tmp_path, frames):
    record(tmp_path / 'bag', SEED, 1, SIZE, compressed=True)
    found = read(tmp_path / 'bag')
    kind = ('/camera/image_raw/compressed', 'sensor_msgs/msg/CompressedImage')
    assert ('/camera/image_raw', 'sensor_msgs/msg/Image') not in found
    rgb = conversions.compressed_to_image(found[kind][0][1]).rgb
    assert cv2.PSNR(rgb, np.ascontiguousarray(frames[0].image.rgb)) > 28
    with open_source(str(tmp_path / 'bag')) as source:
        assert Role.COMPRESSED_IMAGE in source.roles


def test_same_seed_same_bag(bag, tmp_path):
    record(tmp_path / 'scene', SEED, COUNT, SIZE)
    names = {path.name for path in bag.iterdir()}
    assert names == {'metadata.yaml', 'scene.mcap'}
    for name in names:
        assert (tmp_path / 'scene' / name).read_bytes() == (bag / name).read_bytes()


def test_an_existing_path_is_not_overwritten(tmp_path):
    (tmp_path / 'bag').mkdir()
    with raises(OutputError, 'exists'):
        record(tmp_path / 'bag', 0, 1, SIZE)
    (tmp_path / 'link').symlink_to(tmp_path / 'nowhere')
    with raises(OutputError, 'exists'):
        record(tmp_path / 'link', 0, 1, SIZE)
    assert list((tmp_path / 'bag').iterdir()) == []


def test_missing_folder(tmp_path):
    with raises(OutputError, 'missing_folder'):
        record(tmp_path / 'gone' / 'bag', 0, 1, SIZE)


def test_no_frames(tmp_path):
    with raises(InputError, 'out_of_range'):
        record(tmp_path / 'bag', 0, 0, SIZE)
    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_nothing(tmp_path):
    def interrupt(_frame):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(tmp_path / 'bag', 0, 5, SIZE, on_frame=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_nothing(tmp_path):
    """A limit on the size of files fails as a full disk does, while writing."""
    code = (
        'import resource, sys; from pathlib import Path; '
        'resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)); '
        'from robot_perception.cli.main import main; '
        'sys.exit(main(["world", "record", sys.argv[1], "--size", "80x60", "--frames", "40"]))'
    )
    done = subprocess.run(
        [sys.executable, '-B', '-c', code, str(tmp_path / 'bag')],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert f'{tmp_path / "bag"}: cannot be written: File too large. Check' in done.stderr
    assert 'Traceback' not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['--size', '640'], 2, "--size: expected WIDTHxHEIGHT such as 640x480, got '640'"),
        (['--size', '9x9'], 2, 'size_hw: expected sides of 16 to 4096 pixels'),
        (['--seed', '-3'], 2, 'seed: expected a whole number in'),
        (['--frames', '0'], 2, 'frames: expected 1 or more, got 0'),
    ],
)
def test_exit_codes(tmp_path, capsys, arguments, code, message):
    assert main(['world', 'record', str(tmp_path / 'bag'), *arguments]) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_command(tmp_path, capsys):
    path = tmp_path / 'bag'
    assert main(['world', 'record', str(path), '--size', '80x60', '--frames', '1']) == 0
    assert capsys.readouterr().out == f'wrote {path}\n'
    assert (path / 'bag.mcap').is_file()
    assert main(['world', 'record', str(path), '--size', '80x60', '--frames', '1']) == 1
    assert 'got one that exists' in capsys.readouterr().err


def test_interrupted_command(tmp_path, monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr('robot_perception.world.record', interrupted)
    assert main(['world', 'record', str(tmp_path / 'bag')]) == 130


def test_parser_does_not_import_open3d(tmp_path):
    code = (
        'import sys; sys.modules |= dict.fromkeys(("rclpy", "torch", "open3d")); '
        'import robot_perception.cli.world'
    )
    subprocess.run([sys.executable, '-c', code], check=True, cwd=Path(tmp_path))


def test_import_does_not_need_open3d(tmp_path):
    code = (
        'import sys; sys.modules |= dict.fromkeys(("rclpy", "torch", "open3d")); '
        'import robot_perception.world'
    )
    subprocess.run([sys.executable, '-c', code], check=True, cwd=Path(tmp_path))
