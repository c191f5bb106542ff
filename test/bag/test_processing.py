"""Result bags: every image, equal bags after interruptions, damaged recordings."""

from dataclasses import replace
import shutil

from bag_results import digest, messages
from bags import (
    BEGIN_NS,
    generated_frames,
    IMAGE,
    PERIOD_NS,
    write_rgbd_bag,
)
import cv2
import numpy as np
import pytest
from reasons import raises
from rosbags.rosbag2 import Reader
from tiny_checkpoints import write_tiny_checkpoints

from robot_perception.bag.job import BagJob, SLIM
from robot_perception.bag.processing import process_bags
from robot_perception.bag.result_reader import read_backends, read_results
from robot_perception.bag.resumable_writer import ResumableBagWriter
from robot_perception.core import CameraModel
from robot_perception.core.errors import ConfigError, OutputError, SourceError
from robot_perception.models.runtimes import RUNTIMES
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import TopicWish
from robot_perception.sources.bag_writer import BagWriter
from robot_perception.sources.typestore import message_store
from robot_perception.stream import GROUND, ImageReader, OUTPUTS
from robot_perception.world import record, sequence

pytestmark = pytest.mark.slow

TYPES = message_store()
FUSED = PerceptionConfig.from_preset('stub', {'depth.source': 'fused', 'features.every_k': 2})
STUB = PerceptionConfig.from_preset(
    'stub', {'scene.enabled': True, 'scene.labels': 'kitchen, office'}
)
LABEL_INFOS = {'/perception/label_info', '/perception/scene_class/label_info'}
WRITTEN = [
    output
    for output in OUTPUTS
    if not output.topic.startswith('semantics/') and output not in GROUND
]
TOPICS = {f'/perception/{output.topic}' for output in WRITTEN} - {'/perception/timing'}
COUNT = 11


@pytest.fixture
def recording(tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(COUNT, (24, 32)))
    return tmp_path / 'bag'


@pytest.fixture
def job(recording, tmp_path):
    return BagJob((recording,), tmp_path / 'out', STUB, split=4)


def read(bag, topic):
    with Reader(bag) as reader:
        (connection,) = [one for one in reader.connections if one.topic == topic]
        return [
            TYPES.deserialize_cdr(data, connection.msgtype)
            for _, _, data in reader.messages([connection])
        ]


def stamps_ns(rows):
    return [row.header.stamp.sec * 10**9 + row.header.stamp.nanosec for row in rows]


def test_every_image_yields_every_output_with_its_stamp(job, recording):
    report = process_bags(job)
    assert (report.counts.processed, report.is_whole, report.resumed_after) == (COUNT, True, 0)
    found = messages(job.output)
    assert set(found) == TOPICS | LABEL_INFOS
    received = [stamp_ns for stamp_ns, _ in messages(recording)['/camera/color/image_raw']]
    for topic in TOPICS:
        assert [stamp_ns for stamp_ns, _ in found[topic]] == received
    for topic in LABEL_INFOS:
        assert [stamp_ns for stamp_ns, _ in found[topic]] == received[:1]
    expected = [BEGIN_NS + index * PERIOD_NS for index in range(COUNT)]
    assert stamps_ns(read(job.output, '/perception/scene')) == expected
    assert report.messages == {topic: len(rows) for topic, rows in found.items()}
    assert sorted(path.name for path in job.output.parent.iterdir()) == ['bag', 'out']


def test_the_default_of_the_command_holds_depth_once(job, tmp_path):
    process_bags(replace(job, topics=SLIM))
    found = messages(job.output)
    # The stage of the classes of pixels is disabled.
    topics = {f'/perception/{topic}' for topic in SLIM} - {'/perception/semantics/classes'}
    assert set(found) == topics | LABEL_INFOS
    assert not any(len(scene.depth) for scene in read(job.output, '/perception/scene'))
    whole = replace(job, topics=('scene',), output=tmp_path / 'whole')
    process_bags(whole)
    for one, true in zip(read_results(job.output), read_results(whole.output), strict=True):
        assert one.has_image
        assert one.scene.depth_source == true.scene.depth_source
        depth, exact = one.scene.depth.meters, true.scene.depth.meters
        assert not np.isnan(exact).all()
        np.testing.assert_allclose(depth, exact, rtol=1.01e-4)
        assert [item.position for item in one.scene.objects] == [
            item.position for item in true.scene.objects
        ]


def test_pictures_are_processed_and_found_again(tmp_path):
    generator = np.random.default_rng(1)
    paths = [tmp_path / 'b.png', tmp_path / 'a.png']
    pictures = generator.integers(0, 255, (2, 24, 32, 3), np.uint8)
    for path, bgr in zip(paths, pictures, strict=True):
        cv2.imwrite(str(path), bgr)
    for copy_input in (False, True):
        job = BagJob(tuple(paths), tmp_path / f'out{copy_input}', STUB, copy_input=copy_input)
        report = process_bags(replace(job, hfov_deg=40.0))
        assert (report.counts.processed, report.is_whole) == (2, True)
        assert ('/camera/image_raw' in report.messages) == copy_input
        for one, bgr in zip(read_results(job.output), pictures, strict=True):
            assert one.has_image
            assert np.array_equal(one.scene.image.rgb, bgr[..., ::-1])
            assert one.scene.camera == CameraModel.nominal((24, 32), 40.0)


def test_another_reader_finds_definitions_and_qos(job):
    process_bags(job)
    with Reader(job.output) as reader:
        for connection in reader.connections:
            assert 'MSG: ' in connection.msgdef.data
            (qos,) = connection.ext.offered_qos_profiles
            latched = connection.topic.endswith('label_info')
            assert qos.durability.name == ('TRANSIENT_LOCAL' if latched else 'VOLATILE')
            assert qos.reliability.name == 'RELIABLE'
    # Each file can be opened by itself.
    for path in job.output.glob('*.mcap'):
        with Reader(path) as reader:
            assert reader.message_count


class Interrupted(BaseException):
    """Stands for a signal."""


def interrupt(at):
    left = [at]

    def on_image():
        left[0] -= 1
        if not left[0]:
            raise Interrupted

    return on_image


@pytest.mark.parametrize('at', [3, 4, 9, COUNT])
def test_a_resumed_run_writes_the_same_bag(job, tmp_path, at):
    job = replace(job, config=FUSED, copy_input=True)
    process_bags(job)
    expected = digest(job.output)
    shutil.rmtree(job.output)
    with pytest.raises(Interrupted):
        process_bags(job, on_image=interrupt(at))
    assert not job.output.exists()
    done = []
    report = process_bags(job, on_begin=lambda first, _: done.append(first))
    assert (report.counts.processed, done[0] % 4) == (COUNT, 0)
    assert at - 8 < done[0] <= at
    assert digest(job.output) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bag', 'out']


def test_two_interruptions_and_two_recordings(job, recording, tmp_path):
    write_rgbd_bag(tmp_path / 'other', generated_frames(6, (24, 32), seed=1))
    job = replace(job, inputs=(recording, tmp_path / 'other'))
    assert process_bags(job).counts.processed == COUNT + 6
    expected = digest(job.output)
    shutil.rmtree(job.output)
    for _ in range(2):
        with pytest.raises(Interrupted):
            # Writing may be five images behind: one file of four is complete.
            process_bags(job, on_image=interrupt(9))
    assert process_bags(job).resumed_after >= 8
    assert digest(job.output) == expected


IN_WORLD = {
    'depth.source': 'sensor',
    'frames.target_frame': 'world',
    'frames.gravity_frame': 'world',
    'frames.fixed_frame': 'world',
}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('world') / 'bag'
    record(folder, 900_136, 12, (48, 64))
    return folder


def test_results_are_in_the_target_frame(world, tmp_path):
    config = PerceptionConfig.from_preset('stub', IN_WORLD)
    job = BagJob((world,), tmp_path / 'out', config, start_s=0.1)
    report = process_bags(job)
    assert report.counts.processed == 9
    assert not report.counts.without_frames
    frames = list(sequence(900_136, 12, (48, 64)))[-9:]
    compared = 0
    for frame, scene, placed in zip(
        frames,
        read(job.output, '/perception/scene'),
        read(job.output, '/perception/detections_3d'),
        strict=True,
    ):
        assert (scene.header.frame_id, placed.header.frame_id) == ('camera_optical_frame', 'world')
        with_boxes = [item for item in scene.objects if len(item.bbox_3d)]
        for item, detection in zip(with_boxes, placed.detections, strict=True):
            here, there = item.centroid[0], detection.results[0].pose.pose.position
            moved = frame.world_from_camera.apply(np.array([here.x, here.y, here.z]))
            assert (there.x, there.y, there.z) == pytest.approx(moved, abs=1e-6)
            turn = detection.bbox.center.orientation
            assert (turn.x, turn.y) == pytest.approx((0, 0), abs=1e-6), 'upright in the world'
            compared += 1
    assert compared
    assert any(len(item.velocity) for item in scene.objects)


def test_a_resumed_run_has_the_earlier_transforms(world, tmp_path):
    config = PerceptionConfig.from_preset('stub', IN_WORLD)
    job = BagJob((world,), tmp_path / 'out', config, split=4)
    process_bags(job)
    expected = digest(job.output)
    shutil.rmtree(job.output)
    with pytest.raises(Interrupted):
        process_bags(job, on_image=interrupt(9))
    assert process_bags(job).resumed_after in {4, 8}
    assert digest(job.output) == expected


@pytest.mark.parametrize(
    ('source', 'topic', 'target'),
    [('world', '/tf', 'world'), ('recording', '/tf_static', 'base_link')],
)
def test_recordings_do_not_share_transforms(request, tmp_path, source, topic, target):
    whole = request.getfixturevalue(source)
    with Reader(whole) as reader, BagWriter(tmp_path / 'bare', types=TYPES) as bare:
        for connection, stamp_ns, data in reader.messages():
            if connection.topic != topic:
                bare.write(connection.topic, connection.msgtype, data, stamp_ns)
    config = PerceptionConfig.from_preset('stub', {'frames.target_frame': target})
    job = BagJob((whole, tmp_path / 'bare'), tmp_path / 'out', config)
    counts = process_bags(job).counts
    assert counts.without_frames.total() == counts.processed / 2


def test_without_transforms_results_stay_and_the_report_states_why(recording, tmp_path):
    config = PerceptionConfig.from_preset('stub', {'frames.target_frame': 'map'})
    job = BagJob((recording,), tmp_path / 'out', config)
    ((reason, count),) = process_bags(job).counts.without_frames.items()
    assert count == COUNT
    assert "instead of 'map'" in reason
    headers = {one.header.frame_id for one in read(job.output, '/perception/detections_3d')}
    assert headers == {one.header.frame_id for one in read(job.output, '/perception/scene')}


def test_a_resumed_run_keeps_the_runtime_and_precision(job, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    folder = write_tiny_checkpoints(tmp_path / 'tiny')['features']
    values = {'features.model': str(folder), 'device': 'cpu', 'cpu_threads': 1}
    values |= {'features.input_size': 56, 'features.runtime': 'torch'}
    job = replace(job, config=PerceptionConfig.from_preset('stub', values))
    with pytest.raises(Interrupted):
        process_bags(job, on_image=interrupt(9))
    journal = tmp_path / '.out.part' / 'progress.json'
    assert '"backends": {"features": ["torch fp32"]}' in journal.read_text()
    kept = journal.read_text()
    journal.write_text(kept.replace('torch fp32', 'openvino fp32'))
    row = RUNTIMES['openvino']._replace(libraries=('not_installed',))
    monkeypatch.setitem(RUNTIMES, 'openvino', row)
    with raises(OutputError, 'other_runtime', match='not_installed is not installed.*--force'):
        process_bags(job)
    journal.write_text(kept)
    assert process_bags(job).resumed_after >= 4
    assert read_backends(job.output) == {'features': 'torch fp32'}


def assert_equal_but_for_rounding(bag, other):
    """Compare scenes that networks have computed in batches of different images."""
    pairs = list(zip(read_results(bag), read_results(other), strict=True))
    assert len(pairs) == (COUNT + 1) // 2
    for first, second in pairs:
        found, expected = first.scene, second.scene
        assert found.image.stamp_ns == expected.image.stamp_ns
        for side in ('boxes_xyxy', 'scores'):
            np.testing.assert_allclose(
                getattr(found.detections, side), getattr(expected.detections, side), atol=1e-4
            )
        np.testing.assert_allclose(found.depth.meters, expected.depth.meters, rtol=1e-4)


def test_a_batch_gives_the_same_results_and_resumes(job, recording, tmp_path):
    models = {
        f'{task}.model': str(path) for task, path in write_tiny_checkpoints(tmp_path).items()
    }
    values = {**models, 'runtime': 'torch', 'cpu_threads': 1, 'device': 'cpu', 'parallel': False}
    # Rounding of bf16 is coarse. The networks have large inputs of their own.
    values |= {'precision': 'fp32', 'features.input_size': 56, 'depth.input_size': 70}
    values |= {'detector.input_size': 96, 'segmenter.input_size': 64}
    config = PerceptionConfig.from_preset('stub', {**values, 'detector.threshold': 0.01})
    batched = replace(job, config=config, batch=3, every=2, copy_input=True)
    process_bags(batched)
    alone = replace(batched, batch=1, output=tmp_path / 'alone')
    process_bags(alone)
    assert_equal_but_for_rounding(batched.output, alone.output)
    resumed = replace(batched, output=tmp_path / 'resumed')
    with pytest.raises(Interrupted):
        process_bags(resumed, on_image=interrupt(5))
    # What is copied counts among the messages that an earlier run has written.
    assert process_bags(resumed).resumed_after == 4
    assert_equal_but_for_rounding(resumed.output, batched.output)
    found, expected = messages(resumed.output), messages(batched.output)
    for topic in messages(recording):
        assert found[topic] == expected[topic]
    assert {topic: len(rows) for topic, rows in found.items()} == {
        topic: len(rows) for topic, rows in expected.items()
    }


@pytest.mark.parametrize('batch', [3, 20])
def test_networks_without_batches_give_the_same_bytes(job, tmp_path, batch):
    job = replace(job, config=FUSED)
    process_bags(job)
    batched = replace(job, batch=batch, output=tmp_path / 'batched')
    process_bags(batched)
    assert messages(batched.output) == messages(job.output)


def test_images_of_a_batch_are_read_once(job, monkeypatch):
    stamps_read, read_image = [], ImageReader.read

    def counted(self, message, config):
        stamps_read.append(message.header.stamp.nanosec)
        return read_image(self, message, config)

    monkeypatch.setattr(ImageReader, 'read', counted)
    job = replace(job, batch=3)
    with pytest.raises(Interrupted):
        process_bags(job, on_image=interrupt(9))
    stamps_read.clear()
    done = process_bags(job).resumed_after
    # Those that are done are not read either.
    assert len(stamps_read) == len(set(stamps_read)) == COUNT - done


def test_another_job_does_not_resume(job):
    with pytest.raises(Interrupted):
        process_bags(job, on_image=interrupt(9))
    other = replace(job, every=2)
    with raises(OutputError, 'other_job', match='different part.*--force'):
        process_bags(other)
    assert process_bags(replace(other, force=True)).resumed_after == 0


def test_changed_software_does_not_resume(job, monkeypatch):
    with pytest.raises(Interrupted):
        process_bags(job, on_image=interrupt(9))
    monkeypatch.setattr('robot_perception.bag.job.__version__', '0.0.0')
    with raises(OutputError, 'other_job', match='different software'):
        process_bags(job)


def test_nothing_is_replaced_without_force(job):
    process_bags(job)
    before = digest(job.output)
    with raises(OutputError, 'exists', match='--force'):
        process_bags(job)
    assert digest(job.output) == before
    with pytest.raises(Interrupted):
        process_bags(replace(job, force=True, every=2), on_image=interrupt(3))
    assert digest(job.output) == before
    process_bags(replace(job, force=True, every=2))
    assert digest(job.output) != before
    assert sorted(path.name for path in job.output.parent.iterdir()) == ['bag', 'out']


def test_the_error_of_a_full_disk_states_what_is_kept(job, monkeypatch):
    write = ResumableBagWriter.write

    def filling(self, row):
        if self.kept_images == 8:
            raise OutputError('cannot_write', 'No space left on device.')
        write(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(ResumableBagWriter, 'write', filling)
        with raises(OutputError, 'cannot_write', match=r'device\. 8 images are done and kept'):
            process_bags(job)
    assert process_bags(job).resumed_after == 8


def test_force_replaces_bags_only(job):
    job.output.mkdir()
    (job.output / 'thesis.txt').write_text('three years')
    for make in (lambda: None, lambda: process_bags(replace(job, output=job.output / 'bag'))):
        make()
        with raises(OutputError, 'not_a_bag', match='replaces bags only'):
            process_bags(replace(job, force=True))
        (job.output / 'thesis.txt').unlink(missing_ok=True)
    file = job.output.with_name('file')
    file.write_text('precious')
    with raises(OutputError, 'not_a_bag', match='expected the folder of a bag, got file'):
        process_bags(replace(job, output=file, force=True))
    assert file.read_text() == 'precious'


def test_two_processes_do_not_write_one_output(job):
    attempts = []

    def meanwhile():
        with raises(OutputError, 'in_use'):
            process_bags(job)
        attempts.append(1)

    process_bags(job, on_image=meanwhile)
    assert len(attempts) == COUNT


def test_input_is_copied_byte_for_byte(job, recording):
    process_bags(replace(job, copy_input=True))
    found = messages(job.output)
    for topic, rows in messages(recording).items():
        assert found[topic] == rows


def test_results_of_an_earlier_run_are_not_copied(job, tmp_path):
    process_bags(replace(job, copy_input=True))
    notes = []
    again = replace(job, inputs=(job.output,), output=tmp_path / 'again', copy_input=True)
    wish = TopicWish(image='/camera/color/image_raw')
    process_bags(replace(again, wish=wish), on_note=notes.append)
    assert messages(again.output) == messages(job.output)
    assert any('/perception/scene is an output, and not copied' in note for note in notes)


def test_what_is_copied_after_the_last_image_is_in_its_file(job):
    process_bags(replace(job, copy_input=True, every=2, split=3))
    files = [messages(file) for file in sorted(job.output.glob('*.mcap'))]
    assert [len(one['/perception/scene']) for one in files] == [3, 3]
    # Of the last pair of images the second is not processed.
    assert [len(one['/camera/color/image_raw']) for one in files] == [6, 5]


def test_results_have_the_images_of_their_recording(job, recording, tmp_path):
    process_bags(replace(job, topics=('scene',)))
    moved = tmp_path / 'moved'
    moved.mkdir()
    for path in (recording, job.output):
        path.rename(moved / path.name)
    expected = generated_frames(COUNT, (24, 32))
    for one, frame in zip(read_results(moved / 'out'), expected, strict=True):
        assert one.has_image
        np.testing.assert_array_equal(one.scene.image.rgb, frame.bgr[..., ::-1])
    shutil.rmtree(moved / 'bag')
    assert not any(one.has_image for one in read_results(moved / 'out'))


def test_part_of_a_recording(job):
    part = replace(job, start_s=0.09, end_s=0.25, every=2, topics=('scene',), name='/eyes/left')
    assert process_bags(part).counts.processed == 3
    assert set(messages(job.output)) == {
        f'/eyes/left/{topic}' for topic in ('scene', 'label_info', 'scene_class/label_info')
    }
    scenes = read(job.output, '/eyes/left/scene')
    assert stamps_ns(scenes) == [BEGIN_NS + index * PERIOD_NS for index in (3, 5, 7)]
    assert all(len(scene.camera_info) == 1 for scene in scenes)


def test_times_are_written_only_on_request(job):
    process_bags(replace(job, topics=('scene', 'timing')))
    for row in read(job.output, '/perception/timing'):
        assert {'decode', 'detector', 'lifting'} <= set(row.stages)
    shutil.rmtree(job.output)
    process_bags(replace(job, topics=('scene',)))
    assert all(not scene.timing.stages for scene in read(job.output, '/perception/scene'))


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compress', [False, True])
def test_storage_changes_nothing(job, tmp_path, storage, compress):
    process_bags(job)
    other = replace(job, output=tmp_path / 'other', storage=storage, compress=compress)
    process_bags(other)
    assert messages(other.output) == messages(job.output)


def test_truncated_recording(job, recording):
    file = next(recording.glob('*.mcap'))
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 3 // 4])
    report = process_bags(job)
    assert 5 <= report.counts.processed < COUNT
    assert len(messages(job.output)['/perception/scene']) == report.counts.processed
    assert not report.is_whole
    assert 'breaks off after' in report.damage[0]


def test_recording_without_a_readable_message(job, recording, tmp_path):
    data = next(recording.glob('*.mcap')).read_bytes()
    (tmp_path / 'none.mcap').write_bytes(data[:300])
    (tmp_path / 'no_image.mcap').write_bytes(data[:3000])
    lost = tmp_path / 'none.mcap', tmp_path / 'no_image.mcap'
    report = process_bags(replace(job, inputs=(lost[0], recording, lost[1])))
    assert (report.counts.processed, report.is_whole) == (COUNT, False)
    assert 'none.mcap: expected a bag file, got one without a whole message' in report.damage[0]
    assert 'no_image.mcap: expected a topic of camera images' in report.damage[1]
    with raises(SourceError, 'damaged', match='without a whole message'):
        process_bags(replace(job, inputs=lost, output=tmp_path / 'other'))


def test_images_that_cannot_be_read_are_counted(tmp_path, job):
    written = write_rgbd_bag(tmp_path / 'whole', generated_frames(3))
    with BagWriter(tmp_path / 'bad') as bag:
        for one in written:
            cdr = one.cdr
            if one.topic.endswith('color/image_raw'):
                wrong = cdr.replace(b'bgr8', b'what')
                bag.write(one.topic, IMAGE, cdr, one.stamp_ns)
                bag.write(one.topic, IMAGE, wrong, one.stamp_ns)
                bag.write(one.topic, IMAGE, cdr[:100], one.stamp_ns)
            else:
                bag.write(one.topic, one.type_name, cdr, one.stamp_ns)
    report = process_bags(replace(job, inputs=(tmp_path / 'bad',)))
    assert report.counts.processed == 3
    assert report.counts.rejected == {'encoding': 3, 'serialization': 3}
    assert not report.is_whole


def test_no_image_is_an_error_and_leaves_no_file(job, tmp_path):
    with raises(SourceError, 'no_image', match='from --start to --end, of 0.3 s'):
        process_bags(replace(job, start_s=100.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bag']


def test_input_without_a_readable_image_is_not_copied(tmp_path, job):
    with BagWriter(tmp_path / 'bag2') as bag:
        for one in write_rgbd_bag(tmp_path / 'whole', generated_frames(3)):
            bag.write(one.topic, one.type_name, one.cdr.replace(b'bgr8', b'what'), one.stamp_ns)
    before = sorted(tmp_path.iterdir())
    with raises(SourceError, 'no_image', match=r'3 images \(encoding\): .*what'):
        process_bags(replace(job, inputs=(tmp_path / 'bag2',), copy_input=True, split=1))
    assert sorted(tmp_path.iterdir()) == before


def test_without_calibration_results_are_2d_with_a_note(job, tmp_path):
    written = write_rgbd_bag(tmp_path / 'whole', generated_frames(3))
    with BagWriter(tmp_path / 'bare') as bag:
        for one in written:
            if not one.topic.endswith('camera_info'):
                bag.write(one.topic, one.type_name, one.cdr, one.stamp_ns)
    notes = []
    report = process_bags(replace(job, inputs=(tmp_path / 'bare',)), on_note=notes.append)
    assert any('nothing 3D can be made' in note for note in notes)
    assert sum(report.counts.without_calibration.values()) == 3
    found = messages(job.output)
    assert '/perception/detections' in found
    assert '/perception/detections_3d' not in found


def test_required_depth_without_a_topic(job, tmp_path):
    write_rgbd_bag(tmp_path / 'flat', generated_frames(3, depth=False))
    with raises(SourceError, 'no_depth_topic', match='--depth-topic'):
        process_bags(replace(job, inputs=(tmp_path / 'flat',), config=FUSED))


@pytest.mark.parametrize(
    ('changes', 'reason', 'text'),
    [
        ({'topics': ('scenes',)}, 'unknown_topic', 'got scenes'),
        ({'topics': ()}, 'unknown_topic', 'got none'),
        ({'name': 'perception'}, 'bad_name', 'name'),
        ({'start_s': 3.0, 'end_s': 2.0}, 'out_of_range', 'start and end'),
        ({'every': 0}, 'out_of_range', 'every'),
        ({'split': 0}, 'out_of_range', 'split'),
    ],
)
def test_bad_arguments(job, changes, reason, text):
    with raises(ConfigError, reason, match=text):
        replace(job, **changes)
