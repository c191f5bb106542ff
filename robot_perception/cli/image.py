"""``robot-perception image FILE...``: what the networks see in pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain, count
import json
from pathlib import Path
import sys
from typing import Any

from tqdm import tqdm

from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.core import CameraModel, ConfigError, PerceptionError, Scene
from robot_perception.pipeline import keep_freed_memory, PerceptionPipeline, read_image
from robot_perception.viewer import scene_to_dict, write_scene

_EXIT_PARTLY = 3
_MILLISECONDS = 1e3
_EPILOG = """\
exit codes: 0 all pictures, 1 none of them or no networks, 2 bad arguments, 3 some not readable

examples:
  robot-perception image photo.jpg
  robot-perception image *.png -o seen --hfov 70 --set detector.threshold=0.7
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'image',
        help='see pictures: overlay, depth, features, cloud and scene.json of each',
        description='Runs the networks on pictures and writes what they see.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('files', nargs='+', metavar='FILE', help='JPEG, PNG or other picture')
    parser.add_argument(
        '-o',
        '--output',
        default='perception_output',
        metavar='FOLDER',
        help='where the results go (default: %(default)s)',
    )
    parser.add_argument(
        '--hfov',
        type=float,
        default=60.0,
        metavar='DEGREES',
        help='horizontal field of view of the camera, for everything 3D (default: %(default)s)',
    )
    parser.add_argument('--json', action='store_true', help='print one JSON object per picture')
    add_settings(parser, preset='demo')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """See every picture; returns an exit code."""
    config = read_settings(arguments)
    if not 0 < arguments.hfov < 180:  # noqa: PLR2004 - a pinhole sees less than a half space
        raise ConfigError(f'--hfov: expected above 0 and below 180 degrees, got {arguments.hfov}.')
    keep_freed_memory()
    pipeline = PerceptionPipeline.load(config)
    if config.caveat:
        print(f'note: {config.caveat}', file=sys.stderr)
    stems = _stems(arguments.files)
    failed = 0
    for file, stem in tqdm(
        list(zip(arguments.files, stems, strict=True)),
        unit='picture',
        disable=None if len(stems) > 1 else True,
    ):
        try:
            scene = _see(pipeline, file, arguments.hfov)
            written = write_scene(scene, arguments.output, stem)
        except PerceptionError as error:
            failed += 1
            tqdm.write(f'robot-perception image: {error}', file=sys.stderr)
            continue
        lines = _json_lines(file, scene) if arguments.json else _text_lines(file, scene, written)
        for line in lines:
            tqdm.write(line)
    if failed == len(stems):
        return 1
    return _EXIT_PARTLY if failed else 0


def _see(pipeline: PerceptionPipeline, file: str, hfov_deg: float) -> Scene:
    image = read_image(file)
    return pipeline.process(image, CameraModel.nominal(image.size_hw, hfov_deg))


def _stems(files: Sequence[str]) -> list[str]:
    """Give each picture a name of its own, also when two folders hold the same name."""
    stems: list[str] = []
    for file in files:
        stem = Path(file).stem or 'picture'
        names = chain([stem], (f'{stem}~{number}' for number in count(2)))
        stems.append(next(name for name in names if name not in stems))
    return stems


def _json_lines(file: str, scene: Scene) -> Iterator[str]:
    yield json.dumps({'file': file, **scene_to_dict(scene)})


def _text_lines(file: str, scene: Scene, written: Sequence[Path]) -> Iterator[str]:
    height, width = scene.image.size_hw
    yield f'{file}: {width}x{height}, {len(scene.objects)} objects'
    for stage, seconds in scene.timing_s.items():
        yield f'  {stage:<10} {seconds * _MILLISECONDS:8.1f} ms'
    for thing in scene.objects:
        place = '' if thing.depth_m is None else f' at {thing.depth_m:.2f} m'
        yield f'  {thing.class_name} {thing.score:.2f}{place}'
    yield f'  wrote {", ".join(path.name for path in written)} to {written[0].parent}'
