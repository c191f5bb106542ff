"""Measure how long a frame takes when its sensor depth arrives late; run by hand.

``python test/bench_waits.py`` prints the median over 15 frames for depth that arrives 0, 30 and
60 ms after its image, with a detector of 60 ms.
"""

import statistics
import threading
import time

import numpy as np

from robot_perception.conversions import camera_info_message, header_message, image_message
from robot_perception.conversions.rosbags_factory import RosbagsFactory
from robot_perception.core import CameraModel, Detections
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.sources import Role
from robot_perception.sources.typestore import message_store
from robot_perception.stream import CameraTopics, FrameProcessor, OUTPUTS, Synchronizer

SIZE_HW = (480, 640)
CAMERA = CameraModel.nominal(SIZE_HW, 70.0)
DETECTOR_S = 0.06
FACTORY = RosbagsFactory(message_store())


class Detector:
    """Takes as long as a detector on a GPU."""

    class_names = ('cup',)

    def detect(self, _, *, threshold, max_objects):
        time.sleep(DETECTOR_S)
        return Detections.empty()


def frame_times_ms(late_s, count=15):
    config = PerceptionConfig.from_preset('stub', {'depth.source': 'sensor'})
    processor = FrameProcessor(PerceptionPipeline(config, detector=Detector()), FACTORY)
    synchronizer = Synchronizer()
    outputs = tuple(one for one in OUTPUTS if one.topic in {'detections_3d', 'depth/image'})
    for index in range(count):
        stamp_ns = (index + 1) * 10**9
        header = header_message(FACTORY, stamp_ns, 'camera')
        synchronizer.add(Role.CAMERA_INFO, camera_info_message(FACTORY, header, CAMERA))
        image = image_message(FACTORY, header, np.zeros((*SIZE_HW, 3), np.uint8), 'rgb8')
        depth = image_message(FACTORY, header, np.full(SIZE_HW, 2, np.float32), '32FC1')
        timer = threading.Timer(late_s, synchronizer.add, (Role.DEPTH, depth, stamp_ns))
        timer.start()
        begin = time.perf_counter()
        frame_set = synchronizer.frame_set(image, stamp_ns, 0, config, CameraTopics())
        frame = processor.process(frame_set, outputs)
        yield (time.perf_counter() - begin) * 1e3
        timer.join()
        assert not frame.status.depth.problem


def main():
    for late_s in (0.0, 0.03, 0.06):
        median = statistics.median(frame_times_ms(late_s))
        print(f'depth {late_s * 1e3:2.0f} ms late: {median:.0f} ms a frame')


if __name__ == '__main__':
    main()
