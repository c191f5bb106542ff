"""``robot-perception fleet IN... -o OUT``: processes many recordings on many workers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
import logging
import os
from pathlib import Path
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.bag import SLIM
from robot_perception.cli.bag import add_job, read_job
from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.settings import add_settings, check_count, log_caveat, read_settings
from robot_perception.cli.text import counted
from robot_perception.core import ConfigError
from robot_perception.pipeline import PerceptionConfig
from robot_perception.stream import TIMING

if TYPE_CHECKING:
    from robot_perception.fleet import Engine, Entry, Failure, FleetReport, FoundRecording

_LOG = logging.getLogger(__name__)
_EXIT_FAILED, _EXIT_PARTLY = 1, 3
_RAY, _LOCAL = 'ray', 'local'
_MAX_LISTED = 20
_EPILOG = """\
exit codes: 0 all images of all recordings, 1 failed, or no recording could be processed, 2 bad
arguments, 3 a part of the recordings failed or is not readable, 130 interrupted; run the same
command again to go on, and to process new and changed recordings

examples:
  robot-perception fleet bags/ -o results --preset cpu
  robot-perception fleet bags/ -o results --preset cpu --engine local --workers 4
  robot-perception fleet s3://robots/day_1 's3://robots/day_2/*' -o s3://robots/results \\
      --preset robot --address auto --gpus 0.5
  robot-perception evaluate --predictions results --truth bags
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'fleet',
        run,
        help='process many recordings on the workers of this machine or of a Ray cluster',
        description='Processes each of many rosbag2 recordings as "bag" does, on many workers at '
        'once. Writes one result bag for each, all results as a Parquet dataset, and a manifest.',
        epilog=_EPILOG,
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IN',
        help='bag, or folder with bags at any depth: a path that every worker can read, or an '
        'address such as s3://bucket/bags, also with *',
    )
    parser.add_argument(
        '-o',
        '--output',
        required=True,
        metavar='FOLDER',
        help='folder for the results: a path that every worker can write, or an address',
    )
    add_json(parser)
    workers = parser.add_argument_group('workers')
    workers.add_argument(
        '--engine',
        choices=(_LOCAL, _RAY),
        help='processes of this machine, or tasks of Ray (default: ray where it is installed)',
    )
    workers.add_argument(
        '--address',
        metavar='HOST',
        help='Ray cluster to use: auto, or host:port (default: that of RAY_ADDRESS, otherwise one '
        'that is started on this machine)',
    )
    workers.add_argument(
        '--workers',
        type=int,
        metavar='N',
        help='recordings to process at once (default: as many as there are CPU cores for)',
    )
    workers.add_argument(
        '--cpus',
        type=int,
        default=1,
        metavar='N',
        help='CPU cores, and threads of the networks, of each worker (default: %(default)s)',
    )
    workers.add_argument(
        '--gpus',
        type=float,
        default=0.0,
        metavar='N',
        help='GPUs of each worker of Ray, also a share of one such as 0.5 (default: none)',
    )
    workers.add_argument(
        '--retries',
        type=int,
        default=3,
        metavar='N',
        help='how often a recording is tried again before it is set aside (default: %(default)s)',
    )
    workers.add_argument(
        '--verify',
        action='store_true',
        help='hash all files to find what has changed since an earlier run, instead of comparing '
        'sizes and times',
    )
    # Without times results are the same in every run.
    add_job(parser, [topic for topic in SLIM if topic != TIMING.topic])
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Process the recordings and return the exit code."""
    from robot_perception.fleet import (  # noqa: PLC0415 - for this verb
        Address,
        Failure,
        find_recordings,
        FleetJob,
        process_fleet,
    )

    check_json(arguments)
    _check_workers(arguments)
    output = Address.parse(arguments.output)
    found = find_recordings(arguments.inputs, output)
    config, demo_inputs = _read_config(arguments, found)
    job = FleetJob(
        recordings=found,
        output=output,
        bag=read_job(arguments, config, Path('results')),
        retries=arguments.retries,
        verify=arguments.verify,
        force=arguments.force,
    )
    log_caveat(config, demo_inputs)
    with tqdm(unit='bag', disable=arguments.quiet or None) as bar:
        images = 0

        def begin(done: int, total: int) -> None:
            if done:
                _LOG.info('%s unchanged', counted(done, 'recording'))
            bar.reset(total)
            bar.initial = done
            bar.update(done)

        def add(result: Entry | Failure) -> None:
            nonlocal images
            if isinstance(result, Failure):
                _LOG.info('%s: set aside: %s', result.name, result.text)
            else:
                images += result.images
                bar.set_postfix_str(counted(images, 'image'), refresh=False)
            bar.update()

        report = process_fleet(
            job,
            lambda count: _engine(arguments, count),
            on_begin=begin,
            on_result=add,
        )
    print_results(arguments, _document(report), '\n'.join(_lines(report)))
    if report.is_whole:
        return 0
    return _EXIT_PARTLY if report.processed or report.unchanged else _EXIT_FAILED


def _check_workers(arguments: argparse.Namespace) -> None:
    check_count('--cpus', arguments.cpus)
    if arguments.workers is not None:
        check_count('--workers', arguments.workers)
    if not arguments.gpus >= 0:
        raise ConfigError('out_of_range', f'--gpus: expected 0 or more, got {arguments.gpus}.')
    if arguments.engine == _LOCAL and (arguments.address is not None or arguments.gpus):
        raise ConfigError(
            'conflicting_flags',
            '--engine local: expected no --address and no --gpus, which are for Ray. Its workers '
            'use the device that --device names.',
        )


def _read_config(
    arguments: argparse.Namespace, found: Sequence[FoundRecording]
) -> tuple[PerceptionConfig, list[str]]:
    """Return the configuration, and the recordings that it may depend on."""
    local = [str(one.source.local) for one in found if one.problem is None and one.source.local]
    is_local = bool(local) and len(local) == sum(one.problem is None for one in found)
    inputs = local if is_local else []
    config = read_settings(arguments, inputs)
    if not config.cpu_threads:
        config = config.with_values({'cpu_threads': arguments.cpus})
    return config, inputs


def _engine(arguments: argparse.Namespace, tasks: int) -> Engine:
    """Start the engine for a number of recordings."""
    name = arguments.engine
    if name is None:
        wants_ray = arguments.address is not None or arguments.gpus > 0
        name = _RAY if wants_ray or find_spec('ray') is not None else _LOCAL
    if name == _RAY:
        from robot_perception.fleet import RayEngine  # noqa: PLC0415 - for this verb

        workers = None if arguments.workers is None else min(arguments.workers, tasks)
        return RayEngine(arguments.address, workers, arguments.cpus, arguments.gpus)
    from robot_perception.fleet import LocalEngine  # noqa: PLC0415 - for this verb

    cores = len(os.sched_getaffinity(0))
    if arguments.cpus > cores:
        raise ConfigError(
            'no_machine',
            f'--cpus: expected at most the {counted(cores, "CPU core")} of this machine, got '
            f'{arguments.cpus}. Lower it.',
        )
    return LocalEngine(min(tasks, arguments.workers or max(1, cores // arguments.cpus)))


def _document(report: FleetReport) -> dict[str, Any]:
    return {
        'output': report.output,
        'processed': [asdict(entry) for entry in report.processed],
        'unchanged': [entry.name for entry in report.unchanged],
        'failures': [asdict(failure) for failure in report.failures],
        'lost_workers': report.lost_workers,
        'elapsed_s': report.elapsed_s,
    }


def _lines(report: FleetReport) -> list[str]:
    images = sum(entry.images for entry in report.processed)
    size = sum(file.size for entry in report.processed for file in entry.outputs)
    done, rate = counted(len(report.processed), 'recording'), images / report.elapsed_s
    lines = [
        (
            f'{report.output}: {done} processed, {len(report.unchanged)} unchanged, '
            f'{len(report.failures)} set aside'
        ),
        (
            f'  {counted(images, "image")}, {size / 1e6:.1f} MB, {report.elapsed_s:.1f} s, '
            f'{rate:.1f} images/s'
        ),
    ]
    if report.lost_workers:
        lines.append(f'  {counted(report.lost_workers, "worker")} ended and replaced')
    for entry in (*report.processed, *report.unchanged):
        rejected = sum(entry.counts['rejected'].values())
        parts = [f'{counted(rejected, "image")} rejected'] if rejected else []
        lines += [f'  {entry.name}: not read completely: {one}' for one in (*parts, *entry.damage)]
    lines += [f'  {one.name}: set aside ({one.reason}): {one.text}' for one in report.failures]
    if len(lines) > _MAX_LISTED:
        more = len(lines) - _MAX_LISTED
        lines[_MAX_LISTED:] = [f'  {more} more lines; manifest.json lists all recordings']
    return lines
