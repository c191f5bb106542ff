"""``robot-perception world``: synthetic scenes with exact ground truth."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
import logging
from pathlib import Path
import re
from typing import Any

from tqdm import tqdm

from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.world_questions import add_questions
from robot_perception.core import ConfigError, InputError

_LOG = logging.getLogger(__name__)
_EPILOG = """\
exit codes: 0 written, 1 failed, 2 bad arguments, 130 interrupted; no partial output is left

examples:
  robot-perception world record scene/ --seed 7
  robot-perception world record scene/ --compressed --frames 600
"""
_TRAIN_EPILOG = """\
exit codes: 0 written, 1 failed, 2 bad arguments, 130 interrupted; run the same command again to
resume

examples:
  robot-perception world train detector trained/ --data scenes/
  robot-perception world train depth trained/ --data scenes/ --seeds 0:2000 --steps 500
  robot-perception world train depth better/ --data scenes/ --from trained/ --bfloat16
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'world',
        help='render synthetic scenes with exact ground truth, or train on them',
        description='Renders scenes of household objects on a table, a floor or a shelf.',
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True, dest='action')
    recording = add_command(
        actions,
        'record',
        run_record,
        help='write a rosbag2 of a moving camera, with ground truth on /truth topics',
        description='Writes image, camera_info, depth, /tf and ground truth as a rosbag2 (mcap).',
        epilog=_EPILOG,
    )
    recording.add_argument('output', metavar='OUT', type=Path, help='folder to create')
    recording.add_argument(
        '--seed', type=int, default=0, help='seed of the scene (default: %(default)s)'
    )
    recording.add_argument(
        '--frames',
        type=int,
        default=150,
        help='number of frames, 30 per second (default: %(default)s)',
    )
    add_size(recording)
    transport = recording.add_mutually_exclusive_group()
    transport.add_argument(
        '--raw', dest='compressed', action='store_false', help='write sensor_msgs/Image (default)'
    )
    transport.add_argument(
        '--compressed', action='store_true', help='write sensor_msgs/CompressedImage (JPEG)'
    )
    recording.set_defaults(compressed=False)
    add_json(recording)
    add_questions(actions)
    training = add_command(
        actions,
        'train',
        run_train,
        help='train a demo model on rendered scenes',
        description='Renders scenes, trains a demo model on them and writes its checkpoint. Run '
        'the same command again to resume an interrupted training.',
        epilog=_TRAIN_EPILOG,
    )
    training.add_argument(
        'task',
        choices=('depth', 'detector', 'segmenter', 'words'),
        help='model to train; depth writes two checkpoints, as its backbone computes the '
        'features; words is a detector that takes prompts, on the backbone of the demo detector',
    )
    training.add_argument('output', metavar='OUT', type=Path, help='folder for the checkpoints')
    training.add_argument(
        '--data',
        metavar='FOLDER',
        type=Path,
        required=True,
        help='folder of rendered scenes, shared by all tasks; missing scenes are rendered '
        '(0.5 MB each)',
    )
    training.add_argument(
        '--seeds', default='0:12000', metavar='A:B', help='scenes A to B-1 (default: %(default)s)'
    )
    training.add_argument(
        '--steps', type=int, help='training steps (default: enough for training from scratch)'
    )
    training.add_argument(
        '--from',
        dest='start',
        metavar='FOLDER',
        type=Path,
        help='start from the checkpoints of an earlier training (default: from scratch)',
    )
    training.add_argument(
        '--bfloat16',
        action='store_true',
        help='mixed precision: faster on CPUs with AVX512_BF16 or AMX, slower on others',
    )
    training.add_argument(
        '--processes', type=int, default=2, help='rendering processes (default: %(default)s)'
    )
    training.add_argument(
        '--threads', type=int, default=1, help='training threads (default: %(default)s)'
    )


def run_record(arguments: argparse.Namespace) -> int:
    """Record a sequence and return the exit code."""
    from robot_perception.world import record  # noqa: PLC0415 - for this verb

    check_json(arguments)
    quiet = arguments.quiet or None
    with tqdm(total=arguments.frames, unit=' frames', disable=quiet) as bar:
        try:
            record(
                arguments.output,
                arguments.seed,
                arguments.frames,
                read_size_hw(arguments.size),
                compressed=arguments.compressed,
                force=arguments.force,
                on_frame=lambda _: bar.update(),
            )
        except InputError as error:
            raise ConfigError(error.reason, str(error)) from error
    output = str(arguments.output.resolve())
    document = {'frames': arguments.frames, 'output': output}
    print_results(arguments, document, f'wrote {output}')
    return 0


def run_train(arguments: argparse.Namespace) -> int:
    """Render, train and write a checkpoint; return the exit code."""
    seeds = read_seeds('--seeds', arguments.seeds, '0:12000')
    for flag, least in (('steps', 1), ('processes', 1), ('threads', 1)):
        value = getattr(arguments, flag)
        if value is not None and value < least:
            raise ConfigError('out_of_range', f'--{flag}: expected {least} or more, got {value}.')
    if find_spec('scipy') is None:
        raise ConfigError(
            'missing_library',
            'world train: expected SciPy, which matches boxes with objects, got none. '
            'Run: pip install robot_perception[training]',
        )
    from robot_perception.world.training import (  # noqa: PLC0415 - for this verb
        check_new_checkpoints,
        render_dataset,
    )

    # Before the scenes are rendered, which may take hours.
    check_new_checkpoints(arguments.task, arguments.output)
    quiet = arguments.quiet or None
    with tqdm(total=len(seeds), unit=' scenes', disable=quiet) as bar:
        try:
            dataset = render_dataset(
                arguments.data, seeds, processes=arguments.processes, on_scenes=bar.update
            )
        except InputError as error:
            raise ConfigError(error.reason, f'--seeds: {error}') from error
    from robot_perception.models import limit_cpu_threads  # noqa: PLC0415 - needs torch
    from robot_perception.world.training import (  # noqa: PLC0415 - needs torch
        Progress,
        RECIPES,
        train_demo_model,
    )

    limit_cpu_threads(arguments.threads)
    steps = arguments.steps or RECIPES[arguments.task].steps
    with tqdm(total=steps, unit=' steps', disable=quiet) as bar:

        def report(progress: Progress) -> None:
            figures = ', '.join(f'{name} {value:.4f}' for name, value in progress.metrics.items())
            _LOG.info('step %d: loss %.4f, %s', progress.step, progress.loss, figures)

        written = train_demo_model(
            arguments.task,
            dataset,
            arguments.output,
            steps=steps,
            start=arguments.start,
            bfloat16=arguments.bfloat16,
            on_step=bar.update,
            on_report=report,
        )
    for folder in written:
        print(f'wrote {folder.resolve()}')
    return 0


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add the flag --size, for `read_size_hw`."""
    parser.add_argument(
        '--size',
        default='640x480',
        metavar='WxH',
        help='image size in pixels (default: %(default)s)',
    )


def read_size_hw(text: str) -> tuple[int, int]:
    """Return (height, width) from WIDTHxHEIGHT; raise ConfigError for anything else."""
    match = re.fullmatch(r'(\d{1,5})x(\d{1,5})', text)
    if match is None:
        raise ConfigError(
            'wrong_format', f'--size: expected WIDTHxHEIGHT such as 640x480, got {text!r}.'
        )
    return int(match[2]), int(match[1])


def read_seeds(flag: str, text: str, example: str) -> range:
    """Return the half-open range of seeds from text such as ``0:12000``; an empty one raises.

    The flag and the example are for messages of ConfigError.
    """
    match = re.fullmatch(r'(\d{1,18}):(\d{1,18})', text)
    if match is None:
        raise ConfigError(
            'wrong_format', f'{flag}: expected two seeds as A:B, such as {example}, got {text!r}.'
        )
    seeds = range(int(match[1]), int(match[2]))
    if not seeds:
        raise ConfigError(
            'empty_range',
            f'{flag}: expected A below B, got {text}, which contains no scene; B is excluded.',
        )
    return seeds
