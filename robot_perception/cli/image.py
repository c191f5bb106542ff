"""``robot-perception image INPUT...``: writes images, clouds and JSON of every frame."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import os
from pathlib import Path
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.input_loop import Add, add_inputs, EXIT_CODES, InputLoop
from robot_perception.cli.output_paths import add_output, check_apart
from robot_perception.cli.results import add_json, check_json, printing_results
from robot_perception.cli.text import counted
from robot_perception.core import OutputError, Scene
from robot_perception.pipeline import keep_freed_memory
from robot_perception.sources import is_picture
from robot_perception.viewer import (
    format_classes,
    FrameStems,
    scene_files,
    scene_to_dict,
    write_scene,
)

_MILLISECONDS = 1e3
_EPILOG = f"""\
{EXIT_CODES}

examples:
  robot-perception image photo.jpg
  robot-perception image *.png -o results --hfov 70 --set detector.threshold=0.7
  robot-perception image 0 --seconds 5
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'image',
        run,
        help='process images: write overlay, depth, features, point cloud and scene.json',
        description='Runs the networks on images and writes the results of each; of a bag or a '
        'video, those of every frame.',
        epilog=_EPILOG,
    )
    add_output(parser, 'perception_output')
    add_json(parser)
    add_inputs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Process every image and return the exit code."""
    loop = InputLoop(arguments)
    output: Path = arguments.output
    check_json(arguments)
    check_apart(output, arguments.inputs)
    pictures = [Path(spec) for spec in arguments.inputs if is_picture(Path(spec))]
    for picture in pictures if not arguments.force else ():
        _check_new(output, picture.stem)
    keep_freed_memory()

    @contextmanager
    def files() -> Iterator[Add]:
        stems = FrameStems()
        with printing_results(arguments) as add_results:

            def add(scene: Scene, frame: int) -> None:
                stem = stems.add(scene, frame)
                if not arguments.force:
                    _check_new(output, stem)
                written = write_scene(scene, output, stem, caption=loop.caption)
                name = scene.image.name
                is_folder = bool(name) and Path(loop.spec).is_dir()
                file = str(Path(loop.spec, name)) if is_folder else loop.spec
                lines = '\n'.join(_lines(file if name else f'{file}, {stem}', scene, written))
                add_results({'file': file, 'frame': stem, **scene_to_dict(scene)}, lines)

            yield add

    return loop.run(files)


def _check_new(folder: Path, stem: str) -> None:
    """Raise OutputError if results of an image of that name exist."""
    existing = next(filter(os.path.lexists, scene_files(folder, stem)), None)
    if existing is not None:
        raise OutputError(
            'exists',
            f'{existing}: expected no results of this name, got some. Replace them with --force, '
            'or choose another folder with --output.',
        )


def _lines(title: str, scene: Scene, written: Sequence[Path]) -> Iterator[str]:
    height, width = scene.image.size_hw
    yield f'{title}: {width}x{height}, {counted(len(scene.objects), "object")}'
    for stage, seconds in scene.timing_s.items():
        yield f'  {stage:<10} {seconds * _MILLISECONDS:8.1f} ms'
    if scene.scene_classes is not None:
        yield f'  scene: {format_classes(scene.scene_classes)}'
    for item in scene.objects:
        distance = '' if item.depth_m is None else f' at {item.depth_m:.2f} m'
        yield f'  {item.class_name} {item.score:.2f}{distance}'
    yield f'  wrote {", ".join(path.name for path in written)} to {written[0].parent}'
