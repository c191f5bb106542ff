"""The process that owns the networks of one device and computes one job at a time."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace
import io
from multiprocessing.connection import Connection
import signal
import traceback
import zipfile

import numpy as np

from robot_perception.core import (
    Image,
    MetricDepth,
    ModelError,
    PerceptionError,
    Scene,
    UInt8Array,
)
from robot_perception.image_files import read_exif
from robot_perception.pipeline import keep_freed_memory, PerceptionConfig, PerceptionPipeline
from robot_perception.server.body import decode_picture
from robot_perception.server.job import Answer, Format, Job
from robot_perception.sources import NOMINAL_HFOV_DEG
from robot_perception.stream import picture_camera
from robot_perception.viewer import (
    draw_overlay,
    encode_jpeg,
    encode_json,
    encode_png,
    encode_scene,
    frame_data,
    frame_pictures,
    JsonValue,
    scene_to_dict,
    summarize,
    to_millimeters,
)

INTERNAL = 'internal'
"""Reason of an error that no class of this package describes."""
_STEM = 'image'
_WARM_UP_HW = (480, 640)


def run_worker(config: PerceptionConfig, connection: Connection) -> None:
    """Load the networks, send None, then answer each `Job` with an `Answer` or an error.

    Returns when the other end of the connection is closed. If the networks cannot be loaded, the
    error is sent instead of None.
    """
    # The process that started it decides when it ends.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    keep_freed_memory()
    pipeline = _load(config)
    with suppress(EOFError, OSError):
        if isinstance(pipeline, PerceptionError):
            connection.send(pipeline)
            return
        connection.send(None)
        while True:
            connection.send(_answer(pipeline, connection.recv()))


def _load(config: PerceptionConfig) -> PerceptionPipeline | PerceptionError:
    try:
        pipeline = PerceptionPipeline.load(config)
        # The first frame takes longer than all others.
        pipeline.process(Image(_warm_up_pixels()))
    except PerceptionError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the end of the process would not name it
        traceback.print_exc()
        return ModelError(
            INTERNAL,
            f'expected networks that can be loaded, got {type(error).__name__}: {error}. The '
            'lines of the traceback are above; report it.',
        )
    return pipeline


def _warm_up_pixels() -> UInt8Array:
    height, width = _WARM_UP_HW
    columns = np.linspace(0, 255, width).astype(np.uint8)
    pixels: UInt8Array = np.broadcast_to(columns[:, None], (height, width, 3)).copy()
    return pixels


def _answer(pipeline: PerceptionPipeline, job: Job) -> Answer | PerceptionError:
    try:
        return compute(pipeline, job)
    except PerceptionError as error:
        return error
    except Exception:  # noqa: BLE001 - one request must not end the process
        return PerceptionError(INTERNAL, traceback.format_exc())


def compute(pipeline: PerceptionPipeline, job: Job) -> Answer:
    """Process the image of a job like a first frame, and encode the result.

    Raises:
        ImageFileError: the image cannot be decoded.
        ConfigError: a parameter is invalid for these networks.
        InputError: image and camera do not fit together.
        ModelError: a network failed.
    """
    config = pipeline.config.with_values(job.values)
    pipeline.reset()
    # Clients may send any number of prompts.
    pipeline.reset_prompts()
    image = decode_picture(job.image, config.input.max_pixels)
    if job.camera is not None:
        camera = replace(job.camera, size_hw=image.size_hw)
    else:
        exif_deg = read_exif(job.image).hfov_deg(image.size_hw)
        hfov_deg = job.hfov_deg or exif_deg or NOMINAL_HFOV_DEG
        camera = picture_camera(image, config.camera, hfov_deg)
    scene = pipeline.process(image, camera, stages=job.stages, config=config)
    body = _encode(scene, job.format, config.caption)
    return Answer(body, dict(scene.timing_s), pipeline.notes)


def _encode(scene: Scene, form: Format, caption: str) -> bytes:
    if form is Format.ZIP:
        return _zip(scene, caption)
    if form is Format.PNG:
        return encode_png(draw_overlay(scene, caption=caption))
    if form is Format.PAGE:
        return encode_json(_page(scene, caption))
    document = scene_to_dict(scene)
    return encode_json(document['features'] if form is Format.FEATURES else document)


def _zip(scene: Scene, caption: str) -> bytes:
    """Return an archive of the files that `image` writes, and depth in millimeters."""
    packed = io.BytesIO()
    # The pictures are compressed, and clouds hardly get smaller.
    with zipfile.ZipFile(packed, 'w') as archive:
        for name, data in encode_scene(scene, _STEM, caption=caption):
            archive.writestr(name, data)
        if isinstance(scene.depth, MetricDepth):
            archive.writestr(f'{_STEM}_depth_mm.png', encode_png(to_millimeters(scene.depth)))
    return packed.getvalue()


def _page(scene: Scene, caption: str) -> dict[str, JsonValue]:
    """Return what the page of the service shows, with its pictures as data addresses."""
    height, width = scene.image.size_hw
    pictures = {
        name: f'data:image/jpeg;base64,{base64.b64encode(encode_jpeg(picture)).decode()}'
        for name, picture in frame_pictures(scene, None, caption)
    }
    return {
        'summary': summarize(scene),
        'size': [width, height],
        'pictures': pictures,
        **frame_data(scene, None),
    }
