"""The stages of a frame, on stubs."""

import threading

import cv2
import numpy as np
import pytest

from robot_perception import PerceptionPipeline
from robot_perception.core import CameraModel, Image, MetricDepth, Stage
from robot_perception.core.errors import ConfigError, InputError, SourceError
from robot_perception.pipeline import PerceptionConfig, Stopwatch, TimingWindow

SIZE_HW = (48, 64)
RGB = np.random.default_rng(3).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
CAMERA = CameraModel.nominal(SIZE_HW, 60)
STAGES = ['features', 'depth', 'detector', 'segmenter', 'lifting', 'pipeline']


def stub(**overrides):
    values = {name.replace('__', '.'): value for name, value in overrides.items()}
    return PerceptionPipeline.from_preset('stub', values)


def test_the_whole_scene():
    scene = stub().process(Image(RGB, 17, 'camera'), CAMERA)
    assert (scene.image.stamp_ns, scene.image.frame_id) == (17, 'camera')
    assert scene.features is not None
    assert isinstance(scene.depth, MetricDepth)
    assert len(scene.objects) == len(scene.detections) == len(scene.masks) > 0
    assert all(item.position is not None for item in scene.objects)
    assert list(scene.timing_s) == STAGES
    assert scene.cloud().size_hw == SIZE_HW
    for index, item in enumerate(scene.objects):
        assert item.index == index
        assert item.class_name == scene.detections.class_names[index]
        assert item.box_xyxy == pytest.approx(scene.detections.boxes_xyxy[index])


@pytest.mark.parametrize('parallel', [False, True], ids=['in turn', 'parallel'])
def test_classes_of_pixels_and_of_the_image_on_request(parallel):
    values = {'semantics__enabled': True, 'scene__enabled': True, 'cpu_threads': 1}
    scene = stub(**values, parallel=parallel, scene__labels='dark, bright').process(RGB, CAMERA)
    channels = scene.semantics.classes
    assert np.array_equal(channels, RGB.argmax(-1))
    assert scene.semantics.areas() == dict(
        sorted(
            {
                f'stub {color}': int((channels == index).sum())
                for index, color in enumerate(['red', 'green', 'blue'])
            }.items(),
            key=lambda item: -item[1],
        )
    )
    assert set(scene.scene_classes.names) == {'dark', 'bright'}
    assert scene.scene_classes.scores.sum() == pytest.approx(1)
    assert list(scene.timing_s) == [*STAGES[:4], 'semantics', 'scene', *STAGES[4:]]
    without = stub().process(RGB, CAMERA)
    assert without.semantics is without.scene_classes is None
    assert without.objects == scene.objects


def test_same_pixels_give_the_same_scene():
    first, second = stub().process(RGB, CAMERA), stub().process(RGB.copy(), CAMERA)
    assert np.array_equal(first.depth.meters, second.depth.meters)
    assert np.array_equal(first.features.vector, second.features.vector)
    assert first.objects[0].centroid_m == second.objects[0].centroid_m


def test_a_picture_file_is_read_as_rgb_and_upright(tmp_path):
    path = tmp_path / 'picture.png'
    cv2.imwrite(str(path), RGB[..., ::-1])
    assert np.array_equal(stub().process(path).image.rgb, RGB)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'cannot be read .*Name an image file'),
        (b'', 'photo.jpg: expected a whole image file, got nothing'),
        (b'text', r'jpeg, png, .* got bytes that start with 74 65 78 74'),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, message):
    path = tmp_path / 'photo.jpg'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        stub().process(path)


def test_without_a_camera_there_is_no_3d():
    scene = stub().process(RGB)
    assert scene.cloud() is None
    assert scene.objects
    assert all(item.position is None for item in scene.objects)


def test_a_camera_of_another_size_is_refused():
    with pytest.raises(InputError, match='camera: expected the size of the image'):
        stub().process(RGB, CameraModel.nominal((10, 10), 60))
    with pytest.raises(InputError, match='sensor_depth: expected the size of the image'):
        stub().process(RGB, sensor_depth=MetricDepth(np.ones((2, 2), np.float32)))


@pytest.mark.parametrize(
    ('stages', 'present'),
    [
        ({Stage.FEATURES}, {'features'}),
        ({Stage.DEPTH}, {'depth'}),
        ({Stage.DETECTOR}, {'detections'}),
        ({Stage.DETECTOR, Stage.SEGMENTER}, {'detections', 'masks'}),
        (set(), set()),
    ],
)
def test_only_what_is_asked_for_runs(stages, present):
    scene = stub().process(RGB, CAMERA, stages=stages)
    parts = ('features', 'depth', 'detections', 'masks')
    assert {part for part in parts if getattr(scene, part) is not None} == present


@pytest.mark.parametrize('name', ['features', 'depth', 'detector', 'segmenter'])
def test_a_stage_switched_off_needs_no_network(name):
    pipeline = stub(**{f'{name}__enabled': False, f'{name}__model': '/no/such/checkpoint'})
    scene = pipeline.process(RGB, CAMERA)
    part = {'detector': 'detections', 'segmenter': 'masks'}.get(name, name)
    assert getattr(scene, part) is None
    wanted = pipeline.config.with_values({f'{name}.enabled': True})
    with pytest.raises(ConfigError, match=f'{name}.enabled: the network was not loaded'):
        pipeline.reconfigure(wanted)


def test_every_k_leaves_the_frames_between_without_a_result():
    pipeline = stub(features__every_k=3)
    ran = [pipeline.process(RGB).features is not None for _ in range(7)]
    assert ran == [True, False, False, True, False, False, True]
    pipeline.reset()
    assert pipeline.process(RGB).features is not None


def test_sensor_depth_takes_the_place_of_the_network():
    pipeline = stub(depth__source='sensor', depth__model='/no/such/checkpoint')
    meters = np.full(SIZE_HW, 2.5, np.float32)
    scene = pipeline.process(RGB, CAMERA, sensor_depth=MetricDepth(meters))
    assert np.array_equal(scene.depth.meters, meters)
    assert scene.objects[0].depth_m == pytest.approx(2.5)
    assert pipeline.process(RGB, CAMERA).depth is None


def test_live_parameters_change_between_frames():
    pipeline = stub()
    best = float(pipeline.process(RGB).detections.scores[0])
    pipeline.reconfigure(pipeline.config.with_values({'detector.threshold': best - 0.01}))
    assert len(pipeline.process(RGB).detections) < 3
    with pytest.raises(ConfigError, match='detector.model: fixed at'):
        pipeline.reconfigure(pipeline.config.with_values({'detector.model': 'other'}))


def test_from_config_loads_a_parameter_file(tmp_path):
    path = tmp_path / 'p.yaml'
    path.write_text('/**: {ros__parameters: {preset: stub, detector: {max_objects: 1}}}')
    pipeline = PerceptionPipeline.from_config(path)
    assert len(pipeline.process(RGB).detections) == 1
    assert pipeline.config == PerceptionConfig.from_preset('stub', {'detector.max_objects': 1})
    assert len(pipeline.class_names) == 3


def test_stopwatch_adds_up_and_keeps_order():
    watch = Stopwatch()
    for name in ('b', 'a', 'b'):
        with watch.stage(name):
            pass
    assert list(watch.seconds) == ['b', 'a']
    with pytest.raises(ZeroDivisionError), watch.stage('c'):
        _ = 1 / 0
    assert 'c' in watch.seconds


def test_window_gives_percentiles_of_the_last_frames():
    window = TimingWindow(100)
    for value in range(1000, 1100):
        window.add({'depth': value - 1000.0})
    window.add({'depth': 100.0})
    (depth,) = window.summary()
    values = np.arange(1, 101)
    assert (depth.last_s, depth.p50_s) == (100.0, np.percentile(values, 50))
    assert (depth.p95_s, depth.p99_s) == (np.percentile(values, 95), np.percentile(values, 99))
    assert len(window) == 100
    window.clear()
    assert window.summary() == ()


@pytest.mark.parametrize('count', [1, 2, 3, 99, 200, 250])
def test_percentiles_are_those_of_numpy(count):
    values = np.random.default_rng(count).lognormal(-4, 1, count)
    window = TimingWindow(200)
    for seconds in values:
        (timing,) = window.add({'depth': float(seconds)})
    expected = np.percentile(values[-200:], (50, 95, 99))
    assert timing.last_s == values[-1]
    np.testing.assert_allclose((timing.p50_s, timing.p95_s, timing.p99_s), expected, rtol=1e-12)


@pytest.mark.slow
def test_window_may_be_read_while_it_is_written():
    window = TimingWindow(50)
    done = threading.Event()
    failed = []

    def read():
        try:
            while not done.is_set():
                window.summary()
                len(window)
        except RuntimeError as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for round_number in range(3000):
        window.add({f'stage {round_number % 97}': 0.1})
        if round_number % 100 == 0:
            window.clear()
    done.set()
    reader.join()
    assert not failed


@pytest.mark.parametrize('flip', [np.s_[..., ::-1], np.s_[:, ::-1], np.s_[::-1]])
@pytest.mark.slow
def test_a_view_of_a_picture_is_a_picture(flip):
    pipeline = PerceptionPipeline.from_preset('demo')
    first = pipeline.process(RGB[flip])
    second = pipeline.process(np.ascontiguousarray(RGB[flip]))
    assert np.array_equal(first.features.vector, second.features.vector)


def test_due_lists_what_the_next_frame_runs():
    pipeline = stub(depth__every_k=2, segmenter__enabled=False)
    assert pipeline.due(Stage) == {Stage.FEATURES, Stage.DEPTH, Stage.DETECTOR}
    pipeline.process(RGB)
    assert pipeline.due(Stage) == {Stage.FEATURES, Stage.DETECTOR}
    assert pipeline.due({Stage.DEPTH}) == set()
