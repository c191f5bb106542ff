"""Scenes of any input: read from a result bag, or processed by the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from robot_perception.bag.result_reader import (
    NODE,
    read_class_names,
    read_results,
    scene_topics,
)
from robot_perception.conversions import RosbagsFactory
from robot_perception.core import ConversionError, Scene, SourceError
from robot_perception.pipeline import PerceptionPipeline, read_image
from robot_perception.sources import (
    BEGIN_NS,
    is_bag,
    is_picture,
    open_bag,
    open_source,
    picture_hfov_deg,
    Source,
    standard_types,
)
from robot_perception.stream import (
    CameraTopics,
    FrameProcessor,
    OUTPUTS,
    picture_camera,
    RECORDED,
    RecordedFrame,
    RecordedSynchronizer,
)

# Called with every shortcoming of a frame; the same text for the same cause.
Note = Callable[[str], None]


def iter_scenes(
    spec: str,
    pipeline: Callable[[], PerceptionPipeline],
    *,
    note: Note,
    node: str = NODE,
    hfov_deg: float | None = None,
    classes: Callable[[Mapping[int, str]], None] = lambda _: None,
) -> Generator[Scene]:
    """Yield the scenes of an input: as recorded in a result bag, otherwise by the pipeline.

    Args:
        spec: result bag, bag of a camera, video, picture, folder of pictures, or webcam index.
        pipeline: called when networks are needed.
        note: called with every shortcoming of a frame.
        node: full name of the node whose results a bag holds.
        hfov_deg: horizontal field of view in degrees where no calibration is recorded; None takes
            that of the EXIF data of a picture, and 60 without.
        classes: called with index -> name of all classes of the detector, where they are known.

    Raises:
        SourceError: the input cannot be read. Scenes before the error are yielded first.
        ModelError: networks cannot be loaded or fail.
    """
    path = Path(spec).expanduser()
    if is_picture(path):
        image = read_image(path)
        networks = pipeline()
        classes(dict(enumerate(networks.class_names)))
        hfov_deg = hfov_deg or picture_hfov_deg(path, image.size_hw)
        yield networks.process(image, picture_camera(image, networks.config.camera, hfov_deg))
        return
    is_recording = path.exists() and is_bag(path)
    if is_recording and _has_results(path):
        classes(read_class_names(path, node))
        for item in read_results(path, node):
            if not item.has_image:
                note('the bag lacks the input image, which is gray here')
            yield item.scene
        return
    try:
        source = open_source(spec, hfov_deg=hfov_deg, start_ns=BEGIN_NS)
    except SourceError as error:
        if not is_recording:
            raise
        raise SourceError(
            error.reason,
            f'{path}: expected results on {node}/scene, or images of a camera, got neither. '
            f'{error}',
        ) from error
    with source:
        for one in source.notes:
            note(one)
        networks = pipeline()
        classes(dict(enumerate(networks.class_names)))
        yield from process_stream(networks, source, note=note)


def process_stream(
    pipeline: PerceptionPipeline, source: Source | str | Path, *, note: Note = lambda _: None
) -> Iterator[Scene]:
    """Process every image of a source with its calibration, sensor depth and transforms.

    Scenes equal those that the node publishes for the same messages.

    Args:
        pipeline: its state of earlier frames is reset first.
        source: an opened source, or the path of a video, bag, picture or folder of pictures.
        note: called with every shortcoming of a frame, and with the reason why an image was left
            out.

    Raises:
        SourceError: something cannot be read. Scenes before the error are yielded first.
        ModelError: a network failed.
    """
    if not isinstance(source, Source):
        with open_source(str(source)) as opened:
            yield from process_stream(pipeline, opened, note=note)
        return
    types = standard_types()
    topics = CameraTopics.from_roles(source.topics)
    synchronizer = RecordedSynchronizer(source.roles, pipeline.config, topics, types)
    processor = FrameProcessor(pipeline, RosbagsFactory(types), remedies=RECORDED)
    processor.reset()
    first_texts: dict[str, str] = {}
    for frame in _synchronized(source, synchronizer):
        try:
            processed = processor.process(synchronizer.frame_set(frame), OUTPUTS)
        except (ConversionError, SourceError) as error:
            note(f'image left out ({error.reason}): {error}')
            continue
        for status in (*processed.status, *processed.remarks):
            if status.problem:
                # Texts contain times: all frames get that of the first with the same reason.
                note(first_texts.setdefault(status.reason, status.problem))
        scene = processed.output.scene
        name = source.names.get(scene.image.stamp_ns)
        yield scene if name is None else replace(scene, image=replace(scene.image, name=name))


def _synchronized(source: Source, synchronizer: RecordedSynchronizer) -> Iterator[RecordedFrame]:
    for sample in source.lasting():
        synchronizer.prime(sample)
    try:
        for sample in source:
            yield from synchronizer.add(sample)
    except SourceError:
        yield from synchronizer.flush()
        raise
    yield from synchronizer.flush()


def _has_results(path: Path) -> bool:
    with closing(open_bag(path)) as bag:
        return bool(scene_topics(bag.topics()))
