"""``robot-perception evaluate --world A:B``: how good the networks are, against exact truth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import json
from pathlib import Path
import re
import sys
import tempfile
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.cli.world import read_size_hw
from robot_perception.core.errors import ConfigError, InputError
from robot_perception.viewer.atomic import make_folder, unwritable

if TYPE_CHECKING:
    from robot_perception.evaluation import Truth
    from robot_perception.world import WorldFrame

_RESULTS = 'results.json'
_EPILOG = """\
exit codes: 0 evaluated, 1 failed (no networks, folder not writable), 2 bad arguments,
130 interrupted; results.json is there whole or not at all

examples:
  robot-perception evaluate --world 900000:900200
  robot-perception evaluate --world 900000:900050 -o robot --preset robot --set detector.threshold=0.7
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'evaluate',
        help='measure the networks on rendered scenes whose truth is known',
        description='Runs the networks on scenes of the demo world and compares what they say '
        'with what is true: boxes, depth, masks, places in space. Writes results.json and '
        'pictures of the worst frames.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--world',
        required=True,
        metavar='A:B',
        help='seeds of the scenes, from A up to but without B',
    )
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        default='evaluation_output',
        metavar='FOLDER',
        help='where the results go (default: %(default)s)',
    )
    parser.add_argument(
        '--size', default='640x480', metavar='WxH', help='pixels (default: %(default)s)'
    )
    parser.add_argument(
        '--worst',
        type=int,
        default=8,
        metavar='N',
        help='pictures of the N worst frames (default: %(default)s)',
    )
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    add_settings(parser, preset='demo')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; returns an exit code."""
    from robot_perception import evaluation  # noqa: PLC0415 - needs an optional library

    config = read_settings(arguments)
    evaluation.check_config(config)
    if arguments.worst < 0:
        raise ConfigError(f'--worst: expected 0 or more, got {arguments.worst}.')
    size_hw = read_size_hw(arguments.size)
    seeds = _seeds(arguments.world)
    truths = _truths(seeds, size_hw)
    _check_writable(arguments.output)
    figures = evaluation.Evaluation()
    worst = evaluation.WorstCases(arguments.worst)
    examiner = evaluation.Examiner.load(config)
    if config.caveat:
        print(f'note: {config.caveat}', file=sys.stderr)
    for seed, truth in tqdm(truths, total=len(seeds), unit='frame', disable=None):
        answer = examiner.ask(truth)
        errors = figures.add(
            answer.scene,
            truth,
            candidates=answer.candidates,
            true_box_masks=answer.true_box_masks,
        )
        worst.add(evaluation.Case(f'seed {seed}', answer.scene, truth, errors))
    report = figures.report()
    cases = worst.cases()
    results = evaluation.results_to_dict(
        report, config, seeds=seeds, size_hw=size_hw, cases=[case.name for case in cases]
    )
    pictures = evaluation.write_worst(cases, arguments.output)
    evaluation.write_results(results, arguments.output / _RESULTS)
    if config.detector.enabled and not set(examiner.class_names) & set(report.objects):
        print('note: the detector knows none of the classes of these scenes.', file=sys.stderr)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return 0
    print(report.as_text())
    print(f'wrote {_RESULTS} and {len(pictures)} pictures to {arguments.output.resolve()}')
    return 0


def _seeds(text: str) -> range:
    """Read A:B; the same seeds that networks were trained on are refused."""
    match = re.fullmatch(r'(\d{1,18}):(\d{1,18})', text)
    if match is None:
        raise ConfigError(
            f'--world: expected two seeds as A:B, such as 900000:900200, got {text!r}.'
        )
    first, end = int(match[1]), int(match[2])
    if first >= end:
        raise ConfigError(
            f'--world: expected A below B, got {text}, which holds no scene. B itself is left out.'
        )
    from robot_perception.world.vocabulary import FIRST_TEST_SEED  # noqa: PLC0415 - needs Open3D

    if first < FIRST_TEST_SEED:
        raise ConfigError(
            f'--world: expected seeds from {FIRST_TEST_SEED} on, got {text}. Networks were '
            'trained on scenes before that, and would be tested on what they have seen.'
        )
    return range(first, end)


def _truths(seeds: range, size_hw: tuple[int, int]) -> Iterator[tuple[int, Truth]]:
    """Render each scene when it is asked for; a size that there is none of is refused at once."""
    from robot_perception.world import render, world_camera  # noqa: PLC0415 - needs Open3D

    try:
        world_camera(size_hw)
    except InputError as error:
        raise ConfigError(f'--size: {error}') from error
    return ((seed, _truth(render(seed, size_hw))) for seed in seeds)


def _truth(frame: WorldFrame) -> Truth:
    from robot_perception.evaluation import Truth  # noqa: PLC0415 - a room of this verb alone

    return Truth(
        image=frame.image,
        camera=frame.camera,
        depth=frame.depth,
        detections=frame.detections,
        masks=frame.masks(),
        objects=frame.objects(),
        scene_type=frame.scene_type,
    )


def _check_writable(folder: Path) -> None:
    """Make the folder and try it, before an hour of work."""
    make_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error
