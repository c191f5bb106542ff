"""For any depth that a sensor sends, outputs are finite or absent."""

from dataclasses import fields, is_dataclass
import math

import numpy as np
import pytest

from robot_perception.conversions import camera_info_message, header_message, image_message
from robot_perception.conversions.rosbags_factory import RosbagsFactory
from robot_perception.core import (
    CameraModel,
    Detections,
    Masks,
    RelativeDepth,
    StampedTransform,
    TransformBuffer,
)
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.sources.typestore import message_store
from robot_perception.stream import CameraTopics, FrameProcessor, FrameSet, MessageTime, OUTPUTS
from robot_perception.stream.status import USABLE

SIZE_HW = (60, 80)
CAMERA = CameraModel.nominal(SIZE_HW, 100)
OPTICAL, MAP = 'camera_optical_frame', 'map'
FACTORY = RosbagsFactory(message_store())
LARGEST = np.finfo(np.float32).max
WINDOWS = (
    (slice(10, 40), slice(20, 60)),
    (slice(5, 6), slice(7, 8)),
    (slice(50, 50), slice(0, 0)),
)


class Objects:
    """A network that detects an object, one of a single pixel, and one without any."""

    class_names = ('cup',)

    def detect(self, _, *, threshold, max_objects):
        boxes = [[cols.start, rows.start, cols.stop, rows.stop] for rows, cols in WINDOWS]
        count = len(boxes)
        return Detections(
            np.array(boxes, np.float32),
            np.linspace(0.9, 0.8, count, dtype=np.float32),
            np.zeros(count, np.int32),
            ('cup',) * count,
        )

    def encode(self, _):
        pass

    def segment(self, _, boxes_xyxy):
        pixels = np.zeros((len(boxes_xyxy), *SIZE_HW), np.bool_)
        for mask, window in zip(pixels, WINDOWS, strict=True):
            mask[window] = True
        return Masks(pixels, np.ones(len(pixels), np.float32))


class Sloping:
    """A depth network that predicts rising ground as relative depth."""

    def estimate(self, _):
        inverse = np.linspace(0, 1, SIZE_HW[0], dtype=np.float32)[:, None]
        return RelativeDepth(inverse + np.zeros(SIZE_HW, np.float32))


def sensor_meters(case):
    """Return depth (H, W) as a sensor sends it."""
    meters = np.full(SIZE_HW, 2, np.float32)
    rows, columns = np.indices(SIZE_HW)
    stripes = columns % 2 == 0
    match case:
        case 'no pixel known':
            meters[:] = np.nan
        case 'only zeros':
            meters[:] = 0
        case 'one pixel known':
            meters[(rows != 20) | (columns != 30)] = np.nan
        case 'the largest float':
            meters[:] = LARGEST
        case _:
            meters[stripes] = {
                'stripes of the largest float': LARGEST,
                'stripes of infinity': np.inf,
                'stripes below 0': -1,
                'stripes of a kilometer': 1e3,
                'stripes of the smallest floats': 1e-40,
            }[case]
    return meters


def process(source, image, sent):
    """Process an image with sensor depth; the camera is level and looks along x of the map."""
    settings = {
        'depth.source': source,
        'points.voxel_m': 0.001,
        'points.remove_ground': True,
        'frames.target_frame': MAP,
        'frames.gravity_frame': MAP,
    }
    config = PerceptionConfig.from_preset('stub', settings)
    buffer = TransformBuffer()
    level = (-0.5, 0.5, -0.5, 0.5)
    buffer.insert(StampedTransform(MAP, OPTICAL, 0, (1.0, 2.0, 0.5), level), static=True)
    objects = Objects()
    pipeline = PerceptionPipeline(config, depth=Sloping(), detector=objects, segmenter=objects)
    frame_set = FrameSet(
        image,
        MessageTime(10**9, 10**9, 10**9),
        CameraTopics('/image'),
        camera_info_message(FACTORY, header_message(FACTORY, 0, OPTICAL), CAMERA),
        depth=lambda: sent,
        depth_camera_info=lambda: None,
        lookup=buffer.lookup,
    )
    return FrameProcessor(pipeline, FACTORY).process(frame_set, OUTPUTS)


def numbers(value):
    """Yield all floating point numbers of a message."""
    if is_dataclass(value):
        for field in fields(value):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, np.ndarray) and value.dtype.kind == 'f':
        yield from value.ravel().tolist()
    elif isinstance(value, float):
        yield value


@pytest.mark.filterwarnings('error::RuntimeWarning')
@pytest.mark.parametrize('source', ['sensor', 'fused'])
@pytest.mark.parametrize(
    'case',
    [
        'no pixel known',
        'only zeros',
        'one pixel known',
        'the largest float',
        'stripes of the largest float',
        'stripes of infinity',
        'stripes below 0',
        'stripes of a kilometer',
        'stripes of the smallest floats',
    ],
)
def test_positions_are_finite_or_absent(source, case):
    header = header_message(FACTORY, 10**9, OPTICAL)
    image = image_message(FACTORY, header, np.zeros((*SIZE_HW, 3), np.uint8), 'rgb8')
    sent = image_message(FACTORY, header, sensor_meters(case), '32FC1')
    frame = process(source, image, sent)
    assert (frame.status.calibration, frame.status.frames) == (USABLE, USABLE)
    is_empty = case in {'no pixel known', 'only zeros', 'the largest float'}
    assert ('no pixel of the sensor depth is known' in frame.status.depth.problem) == is_empty
    made = {output.topic: output.make(frame.output) for output in OUTPUTS}
    for topic in ('detections_3d', 'markers'):
        if made[topic] is not None:
            assert all(map(math.isfinite, numbers(made[topic]))), topic
    for topic in ('points/objects', 'points/background'):
        if made[topic] is not None:
            assert made[topic].is_dense
            points = made[topic].data.view('<f4').reshape(-1, made[topic].point_step // 4)
            assert np.isfinite(points[:, :3]).all()
    # All three are still detected in 2D, and the one with a surface has a position.
    assert len(made['detections'].detections) == len(made['scene'].objects) == len(WINDOWS)
    located = [bool(item.bbox_3d) for item in made['scene'].objects]
    assert located == [case.startswith('stripes'), False, False]
    if case.startswith('stripes') and 'kilometer' not in case:
        (detection,) = made['detections_3d'].detections
        # Of a wall 2 m in front of a camera that looks along x of the map.
        assert detection.results[0].pose.pose.position.x == pytest.approx(1 + 2, abs=1e-3)
