"""``robot-perception evaluate``: how good results are, beside what is true."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import json
from pathlib import Path
import sys
import tempfile
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.cli.evaluate_files import add_files, Frame, Job, read_files
from robot_perception.cli.seeds import read_seeds
from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.cli.world import read_size_hw
from robot_perception.core import ConfigError, InputError, make_folder, Stage, write_error
from robot_perception.pipeline import keep_freed_memory

if TYPE_CHECKING:
    from robot_perception.evaluation import Examiner, Truth
    from robot_perception.pipeline import PerceptionConfig
    from robot_perception.world import WorldFrame

_RESULTS, _PAGE = 'results.json', 'report.html'
_EPILOG = """\
exit codes: 0 evaluated, 1 failed (no networks, unreadable files, folder not writable),
2 bad arguments, 130 interrupted; results.json and report.html are there whole or not at all

examples:
  robot-perception evaluate --world 900000:900200
  robot-perception evaluate --world 900000:900050 -o robot --preset robot --set detector.threshold=0.7
  robot-perception evaluate --world 900000:900200 --given depth,objects
  robot-perception evaluate --predictions results_bag --truth scene_bag
  robot-perception evaluate --predictions detections.json --truth instances.json --images val/
  robot-perception evaluate --predictions depth/ --truth true_depth/
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'evaluate',
        help='measure networks on rendered scenes, or recorded results, against the truth',
        description='Runs the networks on scenes of the demo world, or takes results from files, '
        'and compares them with what is true: boxes, masks, depth, places in space, tracks. '
        'Writes results.json, report.html and pictures of the worst frames.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--world',
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
        default=20,
        metavar='N',
        help='pictures of the N worst frames (default: %(default)s)',
    )
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    parser.add_argument(
        '--given',
        default='',
        metavar='PARTS',
        help='with --world: take depth, objects (boxes, names and masks) or both, with a comma, from '
        'the truth and not from networks, to see what the rest gets wrong',
    )
    add_files(parser)
    add_settings(parser, preset='demo')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; returns an exit code."""
    from robot_perception import evaluation  # noqa: PLC0415 - needs an optional library

    if arguments.worst < 0:
        raise ConfigError(f'--worst: expected 0 or more, got {arguments.worst}.')
    files = arguments.predictions is not None or arguments.truth is not None
    if files == (arguments.world is not None):
        raise ConfigError('--world: expected either --world A:B, or --predictions and --truth.')
    if files and arguments.given:
        raise ConfigError('--given: expected --world with it, got files, which hold all answers.')
    job = read_files(arguments) if files else _world(arguments)
    _check_writable(arguments.output)
    figures = evaluation.Evaluation()
    worst = evaluation.WorstCases(arguments.worst)
    for frame in tqdm(job.frames, total=job.count, unit='frame', disable=None):
        errors = figures.add(
            frame.scene,
            frame.truth,
            candidates=frame.candidates,
            true_box_masks=frame.true_box_masks,
        )
        worst.add(evaluation.Case(frame.name, frame.scene, frame.truth, errors))
    if sys.stderr.isatty():
        print('working out the figures and their intervals ...', file=sys.stderr)
    report = figures.report()
    cases = worst.cases()
    results = evaluation.results_to_dict(
        report, job.source, job.config, [case.name for case in cases]
    )
    pictures = evaluation.write_worst(cases, arguments.output)
    evaluation.write_page(report, cases, job.about, arguments.output / _PAGE)
    evaluation.write_results(results, arguments.output / _RESULTS)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return 0
    print(report.as_text())
    print(
        f'wrote {_RESULTS}, {_PAGE} and {len(pictures)} pictures to {arguments.output.resolve()}'
    )
    return 0


def _world(arguments: argparse.Namespace) -> Job:
    """Run networks on scenes of the demo world."""
    from robot_perception import evaluation  # noqa: PLC0415 - needs an optional library

    config = read_settings(arguments)
    evaluation.check_config(config)
    given = tuple(filter(None, arguments.given.split(',')))
    evaluation.check_given(given)
    size_hw = read_size_hw(arguments.size)
    seeds = _seeds(arguments.world)
    truths = _truths(seeds, size_hw)
    _check_writable(arguments.output)
    # As the node does, so that times are those of the node.
    keep_freed_memory()
    examiner = evaluation.Examiner.load(config, given)
    if config.caveat:
        print(f'note: {config.caveat}', file=sys.stderr)
    return Job(
        _answers(examiner, truths),
        len(seeds),
        {
            'world': {
                'first_seed': seeds.start,
                'end_seed': seeds.stop,
                'height': size_hw[0],
                'width': size_hw[1],
                'given': list(given),
            }
        },
        {
            'Scenes of the demo world': f'seeds {seeds.start} to {seeds.stop - 1}',
            **({'True': ', '.join(given)} if given else {}),
            'Networks': ', '.join(dict.fromkeys(_models(config, given))) or 'none',
        },
        config,
    )


def _answers(examiner: Examiner, truths: Iterator[tuple[int, Truth]]) -> Iterator[Frame]:
    known: set[str] = set()
    for seed, truth in truths:
        answer = examiner.ask(truth)
        known.update(truth.detections.class_names)
        yield Frame(f'seed {seed}', answer.scene, truth, answer.candidates, answer.true_box_masks)
    if examiner.class_names and not set(examiner.class_names) & known:
        print('note: the detector knows none of the classes of these scenes.', file=sys.stderr)


def _models(config: PerceptionConfig, given: Sequence[str]) -> Iterator[str]:
    from robot_perception.evaluation import GIVEN_STAGES  # noqa: PLC0415 - as above

    known = {stage for part in given for stage in GIVEN_STAGES[part]}
    for stage in Stage:
        section = config.stage(stage)
        if section.enabled and stage not in known:
            yield section.model


def _seeds(text: str) -> range:
    """Read A:B; the same seeds that networks were trained on are refused."""
    seeds = read_seeds('--world', text, '900000:900200')
    from robot_perception.world import FIRST_TEST_SEED  # noqa: PLC0415 - needs Open3D

    if seeds.start < FIRST_TEST_SEED:
        raise ConfigError(
            f'--world: expected seeds from {FIRST_TEST_SEED} on, got {text}. Networks were '
            'trained on scenes before that, and would be tested on what they have seen.'
        )
    return seeds


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
        up=frame.up,
    )


def _check_writable(folder: Path) -> None:
    """Make the folder and try it, before an hour of work."""
    make_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise write_error(folder, error) from error
