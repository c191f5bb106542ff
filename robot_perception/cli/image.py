"""``robot-perception image FILE...``: runs the networks on image files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain, count
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from robot_perception.cli.input_loop import check_hfov
from robot_perception.cli.settings import (
    add_output,
    add_settings,
    check_settings,
    load_pipeline,
    read_settings,
)
from robot_perception.cli.stage_times import StageTimes
from robot_perception.cli.text import counted, print_error, printable
from robot_perception.core import PerceptionError, Scene
from robot_perception.pipeline import keep_freed_memory, PerceptionPipeline, read_image
from robot_perception.sources import picture_hfov_deg
from robot_perception.stream import picture_camera
from robot_perception.viewer import scene_to_dict, write_scene

_EXIT_PARTLY = 3
_MILLISECONDS = 1e3
_EPILOG = """\
exit codes: 0 all images, 1 no image or no networks, 2 bad arguments, 3 some images not readable

examples:
  robot-perception image photo.jpg
  robot-perception image *.png -o results --hfov 70 --set detector.threshold=0.7
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'image',
        help='process image files: write overlay, depth, features, point cloud and scene.json',
        description='Runs the networks on image files and writes the results of each.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('files', nargs='+', metavar='FILE', help='image file, such as JPEG or PNG')
    add_output(parser, 'perception_output')
    parser.add_argument(
        '--hfov',
        type=float,
        metavar='DEGREES',
        help='horizontal field of view of the camera, used for 3D results (default: that of the '
        'EXIF data, otherwise 60.0); '
        'with a calibration file: --set camera.info_url=FILE',
    )
    parser.add_argument('--json', action='store_true', help='print one JSON object per image')
    add_settings(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Process every image and return the exit code."""
    check_settings(arguments)
    check_hfov(arguments.hfov)
    keep_freed_memory()
    pipeline: PerceptionPipeline | None = None
    stems = _stems(arguments.files)
    failed = 0
    times = StageTimes()
    for file, stem in tqdm(
        list(zip(arguments.files, stems, strict=True)),
        unit='image',
        disable=None if len(stems) > 1 else True,
    ):
        try:
            image = read_image(file)
        except PerceptionError as error:
            failed += 1
            print_error('image', error)
            continue
        if pipeline is None:
            # After the first image is read, so that a wrong name costs no time.
            pipeline = load_pipeline(read_settings(arguments, arguments.files), arguments.files)
        config = pipeline.config
        try:
            hfov_deg = arguments.hfov or picture_hfov_deg(Path(file), image.size_hw)
            camera = picture_camera(image, config.camera, hfov_deg)
            scene = pipeline.process(image, camera)
            times.add(config, scene)
            written = write_scene(scene, arguments.output, stem, caption=config.caption)
        except PerceptionError as error:
            failed += 1
            print_error('image', error)
            continue
        if arguments.json:
            tqdm.write(json.dumps({'file': file, **scene_to_dict(scene)}))
        else:
            tqdm.write(printable('\n'.join(_lines(file, scene, written))))
    times.save()
    if failed == len(stems):
        return 1
    return _EXIT_PARTLY if failed else 0


def _stems(files: Sequence[str]) -> list[str]:
    """Return a unique file stem per image, also if two folders contain the same name."""
    stems: list[str] = []
    for file in files:
        stem = Path(file).stem or 'image'
        names = chain([stem], (f'{stem}~{number}' for number in count(2)))
        stems.append(next(name for name in names if name not in stems))
    return stems


def _lines(file: str, scene: Scene, written: Sequence[Path]) -> Iterator[str]:
    height, width = scene.image.size_hw
    yield f'{file}: {width}x{height}, {counted(len(scene.objects), "object")}'
    for stage, seconds in scene.timing_s.items():
        yield f'  {stage:<10} {seconds * _MILLISECONDS:8.1f} ms'
    for item in scene.objects:
        distance = '' if item.depth_m is None else f' at {item.depth_m:.2f} m'
        yield f'  {item.class_name} {item.score:.2f}{distance}'
    yield f'  wrote {", ".join(path.name for path in written)} to {written[0].parent}'
