"""``robot-perception world questions`` and ``phrases``: what is known of rendered scenes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.cli.command import add_command
from robot_perception.cli.output_paths import add_output, check_new_folder, new_folder
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.core import write_bytes
from robot_perception.viewer import write_picture

if TYPE_CHECKING:
    from typing import TypeAlias

    from robot_perception.world import WorldFrame

    # A scene, the name of its image, and its seed.
    _Scenes: TypeAlias = Iterator[tuple[WorldFrame, str, int]]

_SAMPLES = 'samples.json'
_EXIT_CODES = """\
exit codes: 0 written, 1 failed, 2 bad arguments, 130 interrupted; the folder appears when it is
complete
"""
_QUESTIONS_EPILOG = f"""\
{_EXIT_CODES}
examples:
  robot-perception world questions 900000:900020 -o samples
  robot-perception evaluate --samples samples/samples.json --set describer.model=stub
"""
_PHRASES_EPILOG = f"""\
{_EXIT_CODES}
examples:
  robot-perception world phrases 900000:900200 -o phrases
  robot-perception evaluate --samples phrases/samples.json
"""


def add_questions(actions: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the actions and their flags to those of the verb."""
    questions = add_command(
        actions,
        'questions',
        run_questions,
        help='write images with questions whose answers are known',
        description='Renders scenes and writes their images, and samples.json with questions, '
        'objects and scene types, for "robot-perception evaluate --samples".',
        epilog=_QUESTIONS_EPILOG,
    )
    phrases = add_command(
        actions,
        'phrases',
        run_phrases,
        help='write images with phrases such as "red cup" and the objects that they mean',
        description='Renders scenes and writes their images, and samples.json with phrases of '
        'color and kind, half of them absent, for "robot-perception evaluate --samples".',
        epilog=_PHRASES_EPILOG,
    )
    for parser, folder in ((questions, 'samples'), (phrases, 'phrases')):
        _add_flags(parser, folder)


def _add_flags(parser: argparse.ArgumentParser, folder: str) -> None:
    from robot_perception.cli.world import add_size  # noqa: PLC0415 - which imports this module

    parser.add_argument('seeds', metavar='A:B', help='seeds of the scenes: A to B-1')
    add_output(parser, folder)
    add_json(parser)
    add_size(parser)


def run_questions(arguments: argparse.Namespace) -> int:
    """Write images and questions, and return the exit code."""
    from robot_perception.world import make_samples  # noqa: PLC0415 - for this verb

    def count(sample: dict[str, Any]) -> int:
        return 'question' in sample

    def make(scenes: _Scenes) -> list[dict[str, Any]]:
        return make_samples((frame, name) for frame, name, _ in scenes)

    return _write(arguments, make, 'questions', count)


def run_phrases(arguments: argparse.Namespace) -> int:
    """Write images and phrases, and return the exit code."""
    from robot_perception.world import make_phrase_samples  # noqa: PLC0415 - for this verb

    def count(sample: dict[str, Any]) -> int:
        return len({*sample['gt_absent'], *(item['name'] for item in sample['gt_objects'])})

    def make(scenes: _Scenes) -> list[dict[str, Any]]:
        return [sample for scene in scenes for sample in make_phrase_samples(*scene)]

    return _write(arguments, make, 'phrases', count)


def _write(
    arguments: argparse.Namespace,
    make: Callable[[_Scenes], list[dict[str, Any]]],
    noun: str,
    count: Callable[[dict[str, Any]], int],
) -> int:
    """Write images and samples.

    Args:
        arguments: of the command.
        make: from scenes, each with the name of its image and its seed, to samples about them.
        noun: what samples ask, in the plural.
        count: how many of these a sample has.
    """
    from robot_perception.cli.rendered_truth import (  # noqa: PLC0415 - as above
        read_test_seeds,
        render_scenes,
    )
    from robot_perception.cli.world import read_size_hw  # noqa: PLC0415 - as above

    check_json(arguments)
    seeds = read_test_seeds('A:B', arguments.seeds)
    frames = render_scenes(seeds, read_size_hw(arguments.size))
    output: Path = arguments.output
    check_new_folder(output, force=arguments.force)
    bar = tqdm(frames, total=len(seeds), unit='scene', disable=arguments.quiet or None)
    with new_folder(output) as folder, bar:

        def scenes() -> _Scenes:
            for seed, frame in bar:
                name = f'{seed}.png'
                write_picture(frame.image.rgb, folder / name)
                yield frame, name, seed

        samples = make(scenes())
        write_bytes(folder / _SAMPLES, f'{json.dumps(samples, indent=2)}\n'.encode())
    total = sum(map(count, samples))
    document = {'scenes': len(seeds), noun: total, 'output': str(output.resolve())}
    text = f'wrote {total} {noun} about {len(seeds)} scenes to {output.resolve()}'
    print_results(arguments, document, text)
    return 0
