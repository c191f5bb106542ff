"""``robot-perception world questions``: questions with known answers about rendered scenes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from robot_perception.cli.command import add_command
from robot_perception.cli.output_paths import add_output, check_new_folder, new_folder
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.core import write_bytes
from robot_perception.viewer import write_picture

_SAMPLES = 'samples.json'
_EPILOG = """\
exit codes: 0 written, 1 failed, 2 bad arguments, 130 interrupted; the folder appears when it is
complete

examples:
  robot-perception world questions 900000:900020 -o samples
  robot-perception evaluate --samples samples/samples.json --set describer.model=stub
"""


def add_questions(actions: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the action and its flags to those of the verb."""
    from robot_perception.cli.world import add_size  # noqa: PLC0415 - which imports this module

    parser = add_command(
        actions,
        'questions',
        run_questions,
        help='write images with questions whose answers are known',
        description='Renders scenes and writes their images, and samples.json with questions, '
        'objects and scene types, for "robot-perception evaluate --samples".',
        epilog=_EPILOG,
    )
    parser.add_argument('seeds', metavar='A:B', help='seeds of the scenes: A to B-1')
    add_output(parser, 'samples')
    add_json(parser)
    add_size(parser)


def run_questions(arguments: argparse.Namespace) -> int:
    """Write images and samples, and return the exit code."""
    from robot_perception.cli.rendered_truth import (  # noqa: PLC0415 - as above
        read_test_seeds,
        render_scenes,
    )
    from robot_perception.cli.world import read_size_hw  # noqa: PLC0415 - as above
    from robot_perception.world import make_samples  # noqa: PLC0415 - for this verb

    check_json(arguments)
    seeds = read_test_seeds('A:B', arguments.seeds)
    frames = render_scenes(seeds, read_size_hw(arguments.size))
    output: Path = arguments.output
    check_new_folder(output, force=arguments.force)
    samples: list[dict[str, Any]] = []
    bar = tqdm(frames, total=len(seeds), unit='scene', disable=arguments.quiet or None)
    with new_folder(output) as folder, bar:
        for seed, frame in bar:
            name = f'{seed}.png'
            write_picture(frame.image.rgb, folder / name)
            samples += make_samples(frame, name)
        write_bytes(folder / _SAMPLES, f'{json.dumps(samples, indent=2)}\n'.encode())
    questions = sum('question' in sample for sample in samples)
    document = {'scenes': len(seeds), 'questions': questions, 'output': str(output.resolve())}
    text = f'wrote {questions} questions about {len(seeds)} scenes to {output.resolve()}'
    print_results(arguments, document, text)
    return 0
