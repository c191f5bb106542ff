"""Writes bags of results for tests, as `ros2 bag record` beside the node would."""

from robot_perception.conversions import (
    FrameTiming,
    header_message,
    image_message,
    label_info_message,
    RosbagsFactory,
)
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.sources.bag_writer import BagWriter
from robot_perception.sources.typestore import message_store
from robot_perception.stream import LABEL_INFO, LABEL_INFO_TYPE, OutputFrame, OUTPUTS

IMAGE_TOPIC = '/camera/image_raw'
DELAY_NS = 80_000_000


def write_result_bag(
    path,
    scenes,
    *,
    topics=('scene',),
    node='/perception',
    pictures=(),
    compression='none',
    classes=(),
):
    """Write the outputs ``topics`` of scenes, later than their stamps, and their ``pictures``.

    Names of ``classes`` are written as the label table of the detector.
    """
    types = message_store()
    factory = RosbagsFactory(types)
    entries = []
    for scene in pictures:
        stamp_ns = scene.image.stamp_ns
        header = header_message(factory, stamp_ns, scene.image.frame_id)
        picture = image_message(factory, header, scene.image.rgb, 'rgb8')
        entries.append((stamp_ns, IMAGE_TOPIC, 'sensor_msgs/msg/Image', picture))
    if classes:
        header = header_message(factory, 0, 'camera')
        table = label_info_message(factory, header, classes, 0.5)
        entries.append((0, f'{node}/{LABEL_INFO}', LABEL_INFO_TYPE, table))
    for scene in scenes:
        stamp_ns = scene.image.stamp_ns
        header = header_message(factory, stamp_ns, scene.image.frame_id)
        times = tuple(scene.timing_s.values())
        timing = FrameTiming(tuple(scene.timing_s), times, times, times, times, 1, 0.1)
        frame = OutputFrame(factory, header, scene, None, timing, PerceptionConfig())
        for output in OUTPUTS:
            message = output.make(frame) if output.topic in topics else None
            if message is not None:
                name = f'{node}/{output.topic}'
                entries.append((stamp_ns + DELAY_NS, name, output.type_name, message))
    with BagWriter(path, types=types, compression=compression) as bag:
        for stamp_ns, topic, type_name, message in sorted(entries, key=lambda entry: entry[0]):
            bag.write(topic, type_name, message, stamp_ns)
    return path
