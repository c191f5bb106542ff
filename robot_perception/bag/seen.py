"""Recordings seen frame by frame through the pipeline, without ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from robot_perception import conversions
from robot_perception.bag.recorded import NODE, recorded_scenes
from robot_perception.conversions import Message, RosbagsFactory
from robot_perception.core import CameraModel, ConversionError, Scene, SourceError
from robot_perception.pipeline import (
    CalibrationKeeper,
    DepthHistory,
    FrameProcessor,
    MarkerMemory,
    OUTPUTS,
    PerceptionPipeline,
    read_image,
)
from robot_perception.sources import (
    decode,
    is_bag,
    is_picture,
    NOMINAL_HFOV_DEG,
    open_bag,
    open_source,
    Role,
    Sample,
    Source,
    standard_types,
)

# An image waits at most so many images long for its depth and for the first calibration.
_WAIT_IMAGES = 4

Note = Callable[[str], None]


def scenes_of(
    spec: str,
    pipeline: Callable[[], PerceptionPipeline],
    *,
    note: Note,
    node: str = NODE,
    hfov_deg: float = NOMINAL_HFOV_DEG,
) -> Iterator[Scene]:
    """Give the scenes of an input: a bag of results as it is, anything else through the pipeline.

    Args:
        spec: bag of results, bag of a camera, video, picture, folder of pictures, or webcam index.
        pipeline: asked for when networks are needed.
        note: told about every frame that comes short, and why; the same text for the same reason.
        node: full name of the node whose results a bag holds.
        hfov_deg: horizontal field of view in degrees where no calibration is recorded.

    Raises:
        SourceError: the input cannot be read. What could be read before is given first.
        ModelError: networks cannot be loaded or run.

    """
    path = Path(spec).expanduser()
    if path.is_file() and is_picture(path):
        image = read_image(path)
        yield pipeline().process(image, CameraModel.nominal(image.size_hw, hfov_deg))
        return
    bag = path.exists() and is_bag(path)
    if bag and _has_results(path):
        for item in recorded_scenes(path, node):
            if not item.has_image:
                note('the bag lacks the picture, which is grey here')
            yield item.scene
        return
    try:
        source = open_source(spec, hfov_deg=hfov_deg)
    except SourceError as error:
        if not bag:
            raise
        raise SourceError(
            f'{path}: expected results on {node}/scene, or a camera to see through, got neither. '
            f'{error}'
        ) from error
    with source:
        for one in source.notes:
            note(one)
        yield from seen_scenes(source, pipeline(), note)


def seen_scenes(source: Source, pipeline: PerceptionPipeline, note: Note) -> Iterator[Scene]:
    """See every image of a source, with its calibration and its sensor's depth.

    Args:
        source: where messages come from.
        pipeline: begins anew: earlier frames are forgotten.
        note: as in `scenes_of`; also told why an image was left out.

    Raises:
        SourceError: something cannot be read. What could be read is given first.
        ModelError: a network failed.

    """
    camera = _Camera(source, pipeline, note)
    damage = None
    try:
        for sample in source:
            camera.take(sample)
            yield from camera.ready()
    except SourceError as error:
        damage = error
    yield from camera.rest()
    if damage is not None:
        raise damage


class _Camera:
    """Brings each image together with what belongs to it."""

    def __init__(self, source: Source, pipeline: PerceptionPipeline, note: Note) -> None:
        self._topic = source.image_topic
        self._note = note
        self._calibration = CalibrationKeeper()
        self._depths = DepthHistory()
        self._images: deque[Message] = deque()
        self._awaits_calibration = Role.CAMERA_INFO in source.roles
        self._awaits_depth = (
            pipeline.config.depth.source.uses_sensor and Role.DEPTH in source.roles
        )
        self._max_offset_s = pipeline.config.depth.max_offset_s
        self._processor = FrameProcessor(
            pipeline,
            RosbagsFactory(standard_types()),
            calibration=self._calibration,
            markers=MarkerMemory(),
            timer=None,
        )
        self._processor.forget()

    def take(self, sample: Sample) -> None:
        if sample.role in (Role.TF, Role.TF_STATIC):
            return
        message = _read(sample)
        if sample.role is Role.CAMERA_INFO:
            self._calibration.keep(message)
            self._awaits_calibration = False
        elif sample.role is Role.DEPTH:
            self._depths.put(_stamp_ns(message), message)
        else:
            self._images.append(message)

    def ready(self) -> Iterator[Scene]:
        """See the images for which there is nothing to wait any more."""
        while self._images and (len(self._images) > _WAIT_IMAGES or self._complete()):
            yield from self._see(self._images.popleft())

    def rest(self) -> Iterator[Scene]:
        """See what is left at the end."""
        while self._images:
            yield from self._see(self._images.popleft())

    def _complete(self) -> bool:
        settled = not self._awaits_depth or self._depths.settled(_stamp_ns(self._images[0]))
        return settled and not self._awaits_calibration

    def _see(self, message: Message) -> Iterator[Scene]:
        try:
            seen = self._processor.process(message, OUTPUTS, self._topic, self._depth_near)
        except ConversionError as error:
            self._note(f'image left out ({error.reason}): {error}')
            return
        for problem in filter(None, (seen.calibration_problem, seen.depth_problem)):
            self._note(problem)
        yield seen.published.scene

    def _depth_near(self, stamp_ns: int) -> Message:
        return self._depths.nearest(stamp_ns, self._max_offset_s)


def _has_results(path: Path) -> bool:
    (type_name,) = (output.type_name for output in OUTPUTS if output.topic == 'scene')
    bag = open_bag(path)
    try:
        return any(topic.type_name == type_name for topic in bag.topics())
    finally:
        bag.close()


def _read(sample: Sample) -> Message:
    return decode(standard_types(), sample.cdr, sample.type_name, sample.role.value)


def _stamp_ns(message: Message) -> int:
    stamp_ns, _ = conversions.read_header(message.header)
    return stamp_ns
