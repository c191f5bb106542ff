"""Dataset of rendered scenes on disk: rendered once, read in every epoch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
import json
import multiprocessing
import os
from pathlib import Path
from threading import Thread
import time
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from robot_perception.core import AnyArray, BoolArray, InputError, OutputError
from robot_perception.world.color_names import color_numbers
from robot_perception.world.frame import WorldFrame
from robot_perception.world.render import render
from robot_perception.world.vocabulary import FIRST_TEST_SEED, SCENE_TYPES

SIZE_HW = (240, 320)
MAX_OBJECTS = 16
_CHUNK = 32
_ABOUT = 'about.json'
# Increment when scenes or this layout change: older folders are rejected.
_VERSION = 2
_COLUMNS = ('class_id', 'visible_share', 'left', 'top', 'right', 'bottom')


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """N scenes as memory-mapped arrays.

    Attributes:
        seeds: seed of each scene.
        images: (N, H, W, 3) uint8.
        depth_m: (N, H, W) float16.
        instances: (N, H, W) uint8: 0 = background, otherwise row of `objects` + 1.
        objects: (N, 16, 6) float32: class (-1 = no object), visible share, box of the visible
            part in pixels: left, top, right, bottom.
        colors: (N, 16) int8, index in `COLOR_NAMES` of the color of each object; -1 = no clear
            name, or no object.
        scene_types: (N,) uint8, index in `SCENE_TYPES`.
        rendered: (N,) bool.
    """

    seeds: range
    images: AnyArray
    depth_m: AnyArray
    instances: AnyArray
    objects: AnyArray
    colors: AnyArray
    scene_types: AnyArray
    rendered: BoolArray

    def __len__(self) -> int:
        """Count of scenes."""
        return len(self.seeds)


def render_dataset(
    folder: Path,
    seeds: range,
    *,
    processes: int,
    on_scenes: Callable[[int], object] = lambda _: None,
) -> Dataset:
    """Render the missing scenes of a dataset; an interrupted call is continued by the next.

    Args:
        folder: created if it is missing.
        seeds: training seeds, below 900000.
        processes: count of worker processes.
        on_scenes: called with the count of additional scenes.

    Raises:
        InputError: no seeds, or seeds reserved for tests.
        OutputError: the folder has other content or cannot be written.
    """
    if not seeds or seeds.start < 0 or seeds.step != 1:
        raise InputError('out_of_range', f'seeds: expected a range such as 0:12000, got {seeds}.')
    if seeds.stop > FIRST_TEST_SEED:
        raise InputError(
            'reserved_for_tests',
            f'seeds: expected training seeds, below {FIRST_TEST_SEED}, got {seeds.stop - 1}. '
            'The others are kept for tests.',
        )
    try:
        _make_files(folder, seeds)
        dataset = open_dataset(folder)
        rendered = dataset.rendered
        on_scenes(int(np.count_nonzero(rendered)))
        chunks = [
            chunk
            for chunk in np.split(np.arange(len(seeds)), range(_CHUNK, len(seeds), _CHUNK))
            if not rendered[chunk].all()
        ]
        context = multiprocessing.get_context('spawn')
        with ProcessPoolExecutor(processes, context, _init_worker, (os.getpid(),)) as pool:
            work = partial(_render_chunk, folder)
            for done in as_completed([pool.submit(work, chunk.tolist()) for chunk in chunks]):
                on_scenes(done.result())
    except OSError as error:
        raise OutputError(
            'cannot_write',
            f'{folder}: scenes cannot be written: {error.strerror or error}. '
            'Check the folder, its permissions and the free space.',
        ) from error
    return open_dataset(folder)


def open_dataset(folder: Path) -> Dataset:
    """Open the arrays of a folder for writing; raise OutputError if it has other content."""
    _, *arrays = (field.name for field in fields(Dataset))
    seeds = range(*_about(folder)['seeds'])
    return Dataset(seeds, *(np.load(folder / f'{name}.npy', mmap_mode='r+') for name in arrays))


def _make_files(folder: Path, seeds: range) -> None:
    if (folder / _ABOUT).exists():
        found = _about(folder)
        if found['seeds'] != [seeds.start, seeds.stop]:
            raise OutputError(
                'other_content',
                f'{folder}: expected scenes of the seeds {seeds.start}:{seeds.stop}, found '
                '{}:{}. Choose another folder or the same seeds.'.format(*found['seeds']),
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    count = len(seeds)
    for name, shape, dtype in (
        ('images', (count, *SIZE_HW, 3), np.uint8),
        ('depth_m', (count, *SIZE_HW), np.float16),
        ('instances', (count, *SIZE_HW), np.uint8),
        ('objects', (count, MAX_OBJECTS, len(_COLUMNS)), np.float32),
        ('colors', (count, MAX_OBJECTS), np.int8),
        ('scene_types', (count,), np.uint8),
        ('rendered', (count,), np.bool_),
    ):
        open_memmap(folder / f'{name}.npy', mode='w+', dtype=dtype, shape=shape)
    # Written last: a folder with this file has all the others.
    text = json.dumps({'version': _VERSION, 'seeds': [seeds.start, seeds.stop]})
    (folder / _ABOUT).write_text(text, encoding='utf-8')


def _about(folder: Path) -> dict[str, Any]:
    file = folder / _ABOUT
    try:
        about: dict[str, Any] = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise OutputError(
            'other_content',
            f'{file}: expected the description of rendered scenes, got {error}. '
            'Choose another folder.',
        ) from error
    if about.get('version') != _VERSION:
        raise OutputError(
            'other_version',
            f'{file}: expected version {_VERSION}, got {about.get("version")}. '
            'Remove the folder and render again.',
        )
    return about


def _init_worker(parent: int) -> None:
    os.nice(5)
    # A worker would outlive a parent that was killed, and then wait forever.
    Thread(target=_exit_with, args=(parent,), daemon=True).start()


def _exit_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _render_chunk(folder: Path, indices: list[int]) -> int:
    dataset = open_dataset(folder)
    count = 0
    for index in indices:
        if not dataset.rendered[index]:
            _store(render(dataset.seeds[index], SIZE_HW), dataset, index)
            dataset.rendered[index] = True
            count += 1
    return count


def _store(frame: WorldFrame, dataset: Dataset, index: int) -> None:
    dataset.images[index] = frame.image.rgb
    dataset.depth_m[index] = frame.depth.meters
    dataset.instances[index] = frame.instances.astype(np.uint8)
    dataset.scene_types[index] = SCENE_TYPES.index(frame.scene_type)
    detections = frame.detections
    dataset.objects[index] = -1
    rows = dataset.objects[index, : len(detections)]
    rows[:, 0], rows[:, 1] = detections.class_ids, detections.scores
    rows[:, 2:] = detections.boxes_xyxy
    dataset.colors[index] = -1
    dataset.colors[index, : len(detections)] = color_numbers(frame.colors)
