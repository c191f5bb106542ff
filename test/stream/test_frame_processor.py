"""What a frame says of itself beside its results."""

import numpy as np
import pytest
from robot_perception.pipeline.calibration import CalibrationKeeper

from robot_perception.conversions import camera_info_message, header_message, image_message
from robot_perception.conversions.rosbags_factory import RosbagsFactory
from robot_perception.core import CameraModel, MetricDepth
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.sources.typestore import message_store
from robot_perception.stream import FrameProcessor, MarkerMemory, OUTPUTS

SIZE_HW = (120, 160)
CAMERA = CameraModel.nominal(SIZE_HW, 70)


class Level:
    """A network that sees a floor 0.5 m below a level camera, or a wall."""

    def __init__(self, *, floor):
        falling = CAMERA.rays()[..., 1] if floor else np.zeros(SIZE_HW, np.float32)
        with np.errstate(divide='ignore'):
            far = np.where(falling > 0, 0.5 / falling, np.inf)
        self.meters = np.minimum(far, 4.0).astype(np.float32)

    def estimate(self, _):
        return MetricDepth(self.meters)


@pytest.mark.parametrize(
    ('height_m', 'floor', 'problem'),
    [
        (0.0, True, None),
        (0.6, True, ''),
        (0.6, False, 'no ground has been seen 0.6 m below the camera, so that metres are those'),
        (2.0, True, 'no ground has been seen 2 m below the camera'),
    ],
)
def test_a_known_height_that_sets_no_scale_is_a_problem(height_m, floor, problem):
    factory = RosbagsFactory(message_store())
    header = header_message(factory, 5, 'camera')
    config = PerceptionConfig.from_preset('stub', {'camera.height_m': height_m})
    keeper = CalibrationKeeper()
    keeper.keep(camera_info_message(factory, header, CAMERA))
    processor = FrameProcessor(
        PerceptionPipeline(config, depth=Level(floor=floor)),
        factory,
        calibration=keeper,
        markers=MarkerMemory(),
        timer=None,
    )
    image = image_message(factory, header, np.zeros((*SIZE_HW, 3), np.uint8), 'rgb8')
    seen = processor.process(image, OUTPUTS, '/image', lambda _: None)
    assert seen.calibration_problem == ''
    assert (seen.depth_problem or '')[: len(problem or '')] == (problem or '')
    assert (seen.depth_problem is None) == (problem is None)
