"""``robot-perception ask INPUT QUESTION``: answers questions about an image."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
import logging
import math
from pathlib import Path
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, printing_results
from robot_perception.cli.settings import add_settings, log_licenses, read_settings
from robot_perception.core import (
    Answer,
    ConfigError,
    Image,
    NANOSECONDS_PER_SECOND,
    SourceError,
)
from robot_perception.pipeline import DescriberProcess, InputConfig, Question, read_image
from robot_perception.sources import decode, is_picture, open_source, standard_types
from robot_perception.stream import ImageReader, IMAGES
from robot_perception.viewer import answer_to_dict

_LOG = logging.getLogger(__name__)
_EPILOG = """\
exit codes: 0 answered, 1 no answer, 2 bad arguments, 130 interrupted

examples:
  robot-perception ask photo.jpg 'how many cups?' --model ~/models/SmolVLM2-500M
  robot-perception ask photo.jpg 'what color is it?' --region 100 80 60 120 --model stub
  robot-perception ask recording.mcap 'is there a person?' --at 12.5 --json --model stub
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'ask',
        run,
        help='ask questions about an image, or a frame of a bag or video',
        description='Answers questions about an image with a network for images and text, in '
        'a process of its own.',
        epilog=_EPILOG,
    )
    parser.add_argument('input', metavar='INPUT', help='image, camera bag, video or webcam index')
    parser.add_argument('questions', metavar='QUESTION', nargs='+', help='in words')
    parser.add_argument(
        '--model',
        metavar='NAME',
        help='network that answers, as the parameter describer.model: folder of a checkpoint, '
        'id of a model that was pulled, or stub',
    )
    parser.add_argument(
        '--region',
        type=float,
        nargs=4,
        metavar=('X', 'Y', 'WIDTH', 'HEIGHT'),
        help='part of the image to ask about, in pixels (default: all of it)',
    )
    parser.add_argument(
        '--at',
        type=float,
        default=0.0,
        metavar='S',
        help='frame of a bag or video, in seconds from its first (default: %(default)s)',
    )
    add_json(parser)
    add_settings(parser, preset='robot')


def run(arguments: argparse.Namespace) -> int:
    """Ask the questions in order and return the exit code."""
    check_json(arguments)
    if not (arguments.at >= 0 and math.isfinite(arguments.at)):
        raise ConfigError('out_of_range', f'--at: expected 0 or more, got {arguments.at:g}.')
    if arguments.model is not None:
        arguments.set.append(f'describer.model={arguments.model}')
    config = read_settings(arguments)
    image = _read_frame(arguments.input, arguments.at)
    region = None
    if arguments.region is not None:
        left, top, width, height = arguments.region
        region = left, top, left + width, top + height
    log_licenses(config.describer.model)
    questions = [Question(text, image, region) for text in arguments.questions]
    with closing(DescriberProcess()) as describer, printing_results(arguments) as add_results:
        for question in questions:
            answer = describer.ask(config, question)
            if answer.note:
                _LOG.warning('note: %s', answer.note)
            add_results(
                {'file': arguments.input, 'question': question.text, **answer_to_dict(answer)},
                '\n'.join(_lines(answer)),
            )
    return 0


def _read_frame(spec: str, at_s: float) -> Image:
    """Read an image, or the first frame of a recording that is at least ``at_s`` from its first.

    Raises:
        SourceError: it cannot be read, or has no such frame.
    """
    path = Path(spec).expanduser()
    if is_picture(path):
        return read_image(path)
    reader, types = ImageReader(), standard_types()
    first_ns: int | None = None
    with open_source(spec) as source:
        for sample in source:
            if sample.role not in IMAGES:
                continue
            first_ns = sample.stamp_ns if first_ns is None else first_ns
            if sample.stamp_ns - first_ns >= at_s * NANOSECONDS_PER_SECOND:
                return reader.read(
                    decode(types, sample.cdr, sample.type_name, spec), InputConfig()
                )
    raise SourceError(
        'no_frame', f'{spec}: expected an image {at_s:g} s after its first, got none. Set --at.'
    )


def _lines(answer: Answer) -> Iterator[str]:
    yield answer.text
    for item in answer.detections:
        left, top, right, bottom = item.box_xyxy
        yield f'  {item.class_name}: {left:.0f},{top:.0f} to {right:.0f},{bottom:.0f}'
