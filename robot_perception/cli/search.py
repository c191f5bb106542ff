"""``robot-perception search INPUT TEXT``: finds the images that fit a text."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from functools import cache
import logging
from pathlib import Path
from typing import Any

from robot_perception import models, viewer
from robot_perception.bag import iter_scenes
from robot_perception.cli.command import add_command
from robot_perception.cli.output_paths import check_new_folder, new_folder
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.settings import add_settings, check_count, log_licenses, read_settings
from robot_perception.cli.text import counted
from robot_perception.core import (
    ConfigError,
    NANOSECONDS_PER_SECOND,
    Scene,
    SourceError,
    Stage,
    write_bytes,
)
from robot_perception.models import build_scene_classifier, ImageTextEncoder, UploadedImage
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.viewer import FoundImage

_LOG = logging.getLogger(__name__)
_PAGE = 'index.html'
_EPILOG = """\
exit codes: 0 searched, 1 no image or no network, 2 bad arguments, 130 interrupted

examples:
  robot-perception search recording 'a red cup on the floor'
  robot-perception search results 'a wooden chair' -o chairs --every 10
  robot-perception search pictures 'a person' --set scene.model=openai/clip-vit-base-patch32
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'search',
        run,
        help='find the images of a recording that fit a text',
        description='Compares images with a text by the network scene.model (CLIP, SigLIP or '
        'SigLIP 2), and lists the times of those that fit best.',
        epilog=_EPILOG,
    )
    parser.add_argument(
        'input', metavar='INPUT', help='result bag, camera bag, video, image or folder of images'
    )
    parser.add_argument('text', metavar='TEXT', help='what the images show, in words')
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        metavar='FOLDER',
        help='folder for a page with thumbnails (default: none)',
    )
    parser.add_argument(
        '--every', type=int, default=1, metavar='N', help='search every N-th image (default: all)'
    )
    parser.add_argument(
        '--count', type=int, default=10, metavar='N', help='images to list (default: %(default)s)'
    )
    parser.add_argument(
        '--apart',
        type=float,
        default=2.0,
        metavar='S',
        help='seconds between those of a recording that are listed (default: %(default)s)',
    )
    add_json(parser)
    add_settings(parser, preset='robot')


def run(arguments: argparse.Namespace) -> int:
    """Search the input and return the exit code."""
    check_count('--every', arguments.every)
    check_count('--count', arguments.count)
    if not arguments.apart >= 0:
        raise ConfigError(
            'out_of_range', f'--apart: expected at least 0 seconds, got {arguments.apart:g}.'
        )
    if not arguments.text.strip():
        raise ConfigError('no_text', 'TEXT: expected what to search for, got nothing.')
    check_json(arguments)
    if arguments.output is not None:
        check_new_folder(arguments.output, [arguments.input], force=arguments.force)
    config = read_settings(arguments)
    found, compared = _search(arguments, config)
    document = {
        'text': arguments.text,
        'model': config.scene.model,
        'images': compared,
        'found': [
            {'name': one.name, 'stamp_ns': one.stamp_ns, 'similarity': round(one.similarity, 4)}
            for one in found
        ],
    }
    lines = [f'{one.similarity:6.3f}  {one.name}' for one in found]
    if arguments.output is not None:
        lead = (
            f'The {counted(len(found), "image")} of {arguments.input} that fit best, out of '
            f'{compared}, by {config.scene.model}.'
        )
        with new_folder(arguments.output) as folder:
            page = viewer.search_page(arguments.text, lead, found)
            write_bytes(folder / _PAGE, page.encode())
        document['output'] = str(arguments.output / _PAGE)
        lines.append(f'wrote {arguments.output / _PAGE}')
    print_results(arguments, document, '\n'.join(lines))
    return 0


def _search(
    arguments: argparse.Namespace, config: PerceptionConfig
) -> tuple[list[FoundImage], int]:
    """Return the images that fit best, best first, and how many were compared."""
    encoder = _encoder(config)
    text = encoder.embed_text(arguments.text)
    apart_ns = round(arguments.apart * NANOSECONDS_PER_SECOND)
    # The best image of each period, so that few thumbnails are in memory.
    best: dict[int, FoundImage] = {}
    first_ns, compared, has_names = None, 0, False
    for scene in _images(arguments, config):
        stamp_ns, name = scene.image.stamp_ns, scene.image.name
        first_ns = stamp_ns if first_ns is None else first_ns
        period = (stamp_ns - first_ns) // apart_ns if apart_ns and not name else compared
        compared += 1
        has_names = bool(name)
        similarity = float(encoder.embed_image(UploadedImage(scene.image)) @ text)
        if period in best and best[period].similarity >= similarity:
            continue
        name = name or f'{(stamp_ns - first_ns) / NANOSECONDS_PER_SECOND:.2f} s'
        thumbnail = viewer.make_thumbnail(scene.image.rgb)
        best[period] = FoundImage(name, similarity, stamp_ns, thumbnail)
    if not compared:
        raise SourceError(
            'no_image', f'{arguments.input}: expected images to search, found none with content.'
        )
    found: list[FoundImage] = []
    for one in sorted(best.values(), key=lambda one: -one.similarity):
        is_apart = all(abs(one.stamp_ns - other.stamp_ns) >= apart_ns for other in found)
        if (is_apart or has_names) and len(found) < arguments.count:
            found.append(one)
    return found, compared


def _images(arguments: argparse.Namespace, config: PerceptionConfig) -> Iterator[Scene]:
    """Yield every N-th scene whose image is there."""
    disabled = {f'{stage.value}.enabled': False for stage in Stage}

    @cache
    def note(text: str) -> None:
        _LOG.warning('note: %s', text)

    with closing(
        iter_scenes(
            arguments.input,
            lambda: PerceptionPipeline(config.with_values(disabled)),
            note=note,
        )
    ) as scenes:
        for index, scene in enumerate(scenes):
            rgb = scene.image.rgb
            # Of recordings without their images gray ones are returned.
            if index % arguments.every == 0 and rgb.min() != rgb.max():
                yield scene


def _encoder(config: PerceptionConfig) -> ImageTextEncoder:
    """Load the network, and raise ConfigError if it does not compare images with text."""
    if config.cpu_threads > 0:
        models.limit_cpu_threads(config.cpu_threads)
    log_licenses(config.scene.model)
    network = build_scene_classifier(
        config.scene.model,
        device=config.device,
        precision=config.choose_precision(Stage.SCENE).value,
        runtime=config.choose_runtime(Stage.SCENE),
        input_size=config.scene.input_size,
    )
    if not isinstance(network, ImageTextEncoder):
        raise ConfigError(
            'takes_no_text',
            'scene.model: expected a network that compares images with text, such as CLIP, SigLIP '
            f'or SigLIP 2, got {config.scene.model}, which has classes of its own.',
        )
    return network
