"""``robot-perception world``: the demo world, whose truth is known exactly."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
import re
from typing import Any

from tqdm import tqdm

from robot_perception.cli.seeds import read_seeds
from robot_perception.core import ConfigError, InputError

_EPILOG = """\
exit codes: 0 written, 1 failed, 2 bad arguments, 130 interrupted; nothing is left behind unless 0

examples:
  robot-perception world record scene/ --seed 7
  robot-perception world record scene/ --compressed --frames 600
"""


_TRAIN_EPILOG = """\
exit codes: 0 written, 1 failed, 2 bad arguments, 130 interrupted; the same command goes on

examples:
  robot-perception world train detector trained/ --data scenes/
  robot-perception world train depth trained/ --data scenes/ --seeds 0:2000 --steps 500
  robot-perception world train depth better/ --data scenes/ --from trained/ --bfloat16
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'world',
        help='record rendered scenes whose depth, objects and poses are known exactly',
        description='Scenes of household things on a table, a floor or a shelf, ray-cast.',
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True, dest='action')
    recording = actions.add_parser(
        'record',
        help='write a rosbag2 of a moving camera, with the truth on /truth topics',
        description='Writes image, camera_info, depth, /tf and the truth as a rosbag2 (mcap).',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    recording.add_argument('output', metavar='OUT', type=Path, help='folder to make')
    recording.add_argument(
        '--seed', type=int, default=0, help='which scene (default: %(default)s)'
    )
    recording.add_argument(
        '--frames', type=int, default=150, help='30 make a second (default: %(default)s)'
    )
    recording.add_argument(
        '--size', default='640x480', metavar='WxH', help='pixels (default: %(default)s)'
    )
    transport = recording.add_mutually_exclusive_group()
    transport.add_argument(
        '--raw', dest='compressed', action='store_false', help='write sensor_msgs/Image (default)'
    )
    transport.add_argument(
        '--compressed', action='store_true', help='write sensor_msgs/CompressedImage (jpeg)'
    )
    recording.set_defaults(run=run_record, compressed=False)
    training = actions.add_parser(
        'train',
        help='train a demo model on rendered scenes',
        description='Renders scenes, trains one of the demo models on them and writes its '
        'checkpoint. The same command goes on where an interrupted one stopped.',
        epilog=_TRAIN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    training.add_argument(
        'task',
        choices=('depth', 'detector', 'segmenter'),
        help='depth gives two checkpoints: its backbone is that of the features',
    )
    training.add_argument('output', metavar='OUT', type=Path, help='folder of the checkpoints')
    training.add_argument(
        '--data',
        metavar='FOLDER',
        type=Path,
        required=True,
        help='rendered scenes, shared by all tasks; made where it is missing (0.5 MB a scene)',
    )
    training.add_argument(
        '--seeds', default='0:12000', metavar='A:B', help='half-open (default: %(default)s)'
    )
    training.add_argument(
        '--steps', type=int, help='default: as many as a training from nothing wants'
    )
    training.add_argument(
        '--from',
        dest='start',
        metavar='FOLDER',
        type=Path,
        help='begin with the checkpoints in it, those of an earlier training (default: from nothing)',
    )
    training.add_argument(
        '--bfloat16',
        action='store_true',
        help='mixed precision: faster where the CPU has AVX512_BF16 or AMX, slower elsewhere',
    )
    training.add_argument(
        '--processes', type=int, default=2, help='that render (default: %(default)s)'
    )
    training.add_argument(
        '--threads', type=int, default=1, help='of the training (default: %(default)s)'
    )
    training.set_defaults(run=run_train)


def run_record(arguments: argparse.Namespace) -> int:
    """Record a sequence; returns an exit code."""
    from robot_perception.world import record  # noqa: PLC0415 - needs Open3D

    with tqdm(total=arguments.frames, unit=' frames', disable=None) as bar:
        try:
            record(
                arguments.output,
                arguments.seed,
                arguments.frames,
                read_size_hw(arguments.size),
                compressed=arguments.compressed,
                on_frame=bar.update,
            )
        except InputError as error:
            raise ConfigError(str(error)) from error
    print(f'wrote {arguments.output.resolve()}')
    return 0


def run_train(arguments: argparse.Namespace) -> int:
    """Render, train and write; returns an exit code."""
    seeds = read_seeds('--seeds', arguments.seeds, '0:12000')
    for flag, least in (('steps', 1), ('processes', 1), ('threads', 1)):
        value = getattr(arguments, flag)
        if value is not None and value < least:
            raise ConfigError(f'--{flag}: expected {least} or more, got {value}.')
    if find_spec('scipy') is None:
        raise ConfigError(
            'world train: expected SciPy, which matches boxes with objects, got none. '
            'Run: pip install robot_perception[training]'
        )
    from robot_perception.models import limit_cpu_threads  # noqa: PLC0415 - needs torch
    from robot_perception.world.training import (  # noqa: PLC0415 - needs torch and Open3D
        Progress,
        RECIPES,
        render_dataset,
        train_demo_model,
    )

    limit_cpu_threads(arguments.threads)
    with tqdm(total=len(seeds), unit=' scenes', disable=None) as bar:
        try:
            dataset = render_dataset(
                arguments.data, seeds, processes=arguments.processes, on_scenes=bar.update
            )
        except InputError as error:
            raise ConfigError(f'--seeds: {error}') from error
    steps = arguments.steps or RECIPES[arguments.task].steps
    with tqdm(total=steps, unit=' steps', disable=None) as bar:

        def report(progress: Progress) -> None:
            figures = ', '.join(f'{name} {value:.4f}' for name, value in progress.metrics.items())
            bar.write(f'step {progress.step}: loss {progress.loss:.4f}, {figures}')

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


def read_size_hw(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT as rows and columns; raise ConfigError for anything else."""
    match = re.fullmatch(r'(\d{1,5})x(\d{1,5})', text)
    if match is None:
        raise ConfigError(f'--size: expected WIDTHxHEIGHT such as 640x480, got {text!r}.')
    return int(match[2]), int(match[1])
