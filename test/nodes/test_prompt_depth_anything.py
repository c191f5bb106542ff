"""Prompt Depth Anything on a depth camera, over DDS and offline."""

from bags import generated_frames, RgbdFrame, write_rgbd_bag
from depth_checkpoints import write_prompt_depth_anything
import numpy as np
import pytest

pytest.importorskip('rclpy')

from live import play

from robot_perception.bag import BagJob, process_bags, read_results
from robot_perception.core import Image, MetricDepth
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline

pytestmark = [pytest.mark.ros, pytest.mark.slow]

SIZE_HW = (60, 80)
HOLE = np.s_[20:30, 30:50]


@pytest.fixture
def frames():
    """Return noise on a slope with a hole, so that the prompt differs from the result."""
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    frames = []
    for index, frame in enumerate(generated_frames(3, SIZE_HW)):
        depth_mm = (1000 + 30 * rows + 10 * columns + 200 * index).astype(np.uint16)
        depth_mm[HOLE] = 0
        frames.append(RgbdFrame(frame.bgr, depth_mm, frame.camera))
    return frames


def test_node_and_bag_give_the_depth_of_the_library(graph, tmp_path, frames):
    values = {
        'depth.model': str(write_prompt_depth_anything(tmp_path / 'network')),
        'depth.source': 'fused',
        'device': 'cpu',
        'runtime': 'torch',
        'cpu_threads': 1,
    }
    write_rgbd_bag(tmp_path / 'bag', frames)
    play(graph, tmp_path / 'bag', **{name.replace('.', '__'): one for name, one in values.items()})
    messages = graph.received['depth/image']
    config = PerceptionConfig.from_preset('stub', values)
    process_bags(BagJob((tmp_path / 'bag',), tmp_path / 'results', config, topics=('scene',)))
    scenes = [item.scene for item in read_results(tmp_path / 'results')]
    assert len(messages) == len(scenes) == len(frames)

    pipeline = PerceptionPipeline.load(config)
    for frame, message, scene in zip(frames, messages, scenes, strict=True):
        meters = np.where(frame.depth_mm, frame.depth_mm / np.float32(1000), np.float32(np.nan))
        image = Image(np.ascontiguousarray(frame.bgr[..., ::-1]))
        computed = pipeline.process(image, frame.camera, sensor_depth=MetricDepth(meters))
        expected = computed.depth.meters
        live = np.frombuffer(bytes(message.data), np.float32).reshape(SIZE_HW)
        np.testing.assert_array_equal(live, expected)
        np.testing.assert_array_equal(scene.depth.meters, expected)
        assert computed.depth_source == scene.depth_source == 'fused'
        # The network fills the hole; elsewhere the camera counts.
        np.testing.assert_array_equal(np.isnan(meters[HOLE]), np.isfinite(expected[HOLE]))
        np.testing.assert_array_equal(expected[~np.isnan(meters)], meters[~np.isnan(meters)])
