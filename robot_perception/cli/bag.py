"""``robot-perception bag IN... -o OUT``: processes recordings into a result bag."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
import logging
import math
from pathlib import Path
from typing import Any

from tqdm import tqdm

from robot_perception.bag import BagJob, BagReport, CLOUDS, process_bags, SLIM
from robot_perception.cli.command import add_command
from robot_perception.cli.input_loop import check_hfov
from robot_perception.cli.output_paths import add_output
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.settings import add_settings, log_caveat, read_settings
from robot_perception.pipeline import keep_freed_memory, PerceptionConfig
from robot_perception.sources import NOMINAL_HFOV_DEG, TopicWish

_LOG = logging.getLogger(__name__)
_EXIT_PARTLY = 3
_MEGABYTE = 1e6
_EPILOG = """\
exit codes: 0 all images, 1 failed, 2 bad arguments, 3 a part of the recordings is not readable,
130 interrupted; run the same command again to resume

examples:
  robot-perception bag recording/ -o results --preset cpu
  robot-perception bag part_0/ part_1/ -o results --topics scene detections_3d --copy-input
  robot-perception bag rgbd.mcap -o results --set depth.source=fused --start 10 --end 60
  robot-perception bag drive.mp4 -o results --seconds 30 --copy-input
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'bag',
        run,
        help='process every image of recordings into a new bag, without ROS',
        description='Processes every image of recordings as the node does, as fast as '
        'this machine allows, and writes the topics of the node into a new rosbag2.',
        epilog=_EPILOG,
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        type=Path,
        metavar='INPUT',
        help='rosbag2, video, image or folder of images',
    )
    add_output(parser)
    add_json(parser)
    parser.add_argument(
        '--hfov',
        type=float,
        metavar='DEGREES',
        help='horizontal field of view of images and videos (default: that of the EXIF data of an '
        f'image, otherwise {NOMINAL_HFOV_DEG})',
    )
    add_job(parser)
    add_settings(parser)


def add_job(parser: argparse.ArgumentParser, topics: Sequence[str] = SLIM) -> None:
    """Add the flags for the part of a recording to process, and for what is written.

    ``topics`` are the outputs to write by default.
    """
    camera = parser.add_argument_group('input')
    camera.add_argument(
        '--image-topic', metavar='TOPIC', help='image topic; needed if a bag has several cameras'
    )
    camera.add_argument(
        '--camera-info-topic', metavar='TOPIC', help='default: the one beside the image topic'
    )
    camera.add_argument(
        '--depth-topic',
        metavar='TOPIC',
        help='for depth.source sensor or fused (default: the only depth topic)',
    )
    camera.add_argument(
        '--start',
        type=float,
        default=0.0,
        metavar='S',
        help='first second to process, from the start of each recording',
    )
    camera.add_argument(
        '--end',
        '--seconds',
        dest='end',
        type=float,
        default=math.inf,
        metavar='S',
        help='last second to process, from the start of each recording',
    )
    camera.add_argument(
        '--every', type=int, default=1, metavar='N', help='process every N-th image (default: all)'
    )
    camera.add_argument(
        '--batch',
        type=int,
        default=1,
        metavar='N',
        help='images that the networks compute together, faster on a GPU; results then differ by '
        'rounding (default: %(default)s)',
    )
    written = parser.add_argument_group('output')
    written.add_argument(
        '--topics',
        nargs='+',
        default=list(topics),
        metavar='NAME',
        help=f'topics to write; networks that none of them needs do not run. Default: '
        f'{" ".join(topics)}, which hold all results once. Without "timing" equal recordings give '
        'equal bags; without "depth/image/compressedDepth" depth is in "scene", uncompressed',
    )
    written.add_argument(
        '--name',
        default='/perception',
        help='full name of the node, the prefix of the topics (default: %(default)s)',
    )
    written.add_argument(
        '--clouds', action='store_true', help=f'add the point clouds: {" ".join(CLOUDS)}'
    )
    written.add_argument(
        '--copy-input', action='store_true', help='also copy the messages of the recordings'
    )
    written.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), default='mcap', help='default: %(default)s'
    )
    written.add_argument('--compress', action='store_true', help='compress with zstd')
    written.add_argument(
        '--split',
        type=int,
        default=300,
        metavar='N',
        help='images per file; an interrupted run resumes after the last complete file '
        '(default: %(default)s)',
    )


def read_job(
    arguments: argparse.Namespace,
    config: PerceptionConfig,
    output: Path,
    inputs: tuple[Path, ...] = (),
) -> BagJob:
    """Return the job that the flags of `add_job` describe.

    Raises:
        ConfigError: a flag is wrong.
    """
    return BagJob(
        inputs=inputs,
        output=output,
        config=config,
        wish=TopicWish(arguments.image_topic, arguments.camera_info_topic, arguments.depth_topic),
        topics=(*arguments.topics, *(CLOUDS if arguments.clouds else ())),
        name=arguments.name,
        copy_input=arguments.copy_input,
        start_s=arguments.start,
        end_s=arguments.end,
        every=arguments.every,
        batch=arguments.batch,
        storage=arguments.storage,
        compress=arguments.compress,
        split=arguments.split,
        force=arguments.force,
    )


def run(arguments: argparse.Namespace) -> int:
    """Process the recordings and return the exit code."""
    check_json(arguments)
    check_hfov(arguments.hfov)
    inputs = [str(path) for path in arguments.inputs]
    config = read_settings(arguments, inputs)
    job = read_job(arguments, config, arguments.output, tuple(arguments.inputs))
    job = replace(job, hfov_deg=arguments.hfov)
    keep_freed_memory()
    log_caveat(config, inputs)
    with tqdm(unit='frame', disable=arguments.quiet or None) as bar:

        def begin(done: int, total: int) -> None:
            if done:
                _LOG.info('resuming after %d images that an earlier run processed', done)
            bar.reset(total)
            bar.initial = done
            bar.update(done)

        try:
            report = process_bags(job, on_note=_LOG.warning, on_begin=begin, on_image=bar.update)
        except KeyboardInterrupt:
            _LOG.warning('interrupted; the same command continues after the last complete file')
            raise
        bar.total = bar.n
        bar.refresh()
    document = {**asdict(report), 'counts': report.counts.values()}
    print_results(arguments, document, '\n'.join(_lines(report)))
    return 0 if report.is_whole else _EXIT_PARTLY


def _lines(report: BagReport) -> list[str]:
    counts = report.counts
    rate = (counts.processed - report.resumed_after) / report.elapsed_s
    messages, megabytes = sum(report.messages.values()), report.bytes_written / _MEGABYTE
    lines = [
        f'{report.output}: {counts.processed} images, {messages} messages, {megabytes:.1f} MB',
        f'  {report.elapsed_s:.1f} s, {rate:.1f} frames/s; busy threads: {_shares(report)}',
    ]
    for name, reasons in (
        ('read in spite of a fault', counts.imperfect),
        ('without calibration, so without 3D results', counts.without_calibration),
        ('without sensor depth', counts.without_depth),
        ('not in the requested frames, first reason', counts.without_frames),
        ('without a usable stamp', counts.without_stamp),
        ('probably wrong', counts.doubtful),
    ):
        lines += [f'  {count} images {name}: {reason}' for reason, count in reasons.items()]
    lines += [
        f'  {count} images rejected ({reason}): {counts.rejections[reason]}'
        for reason, count in counts.rejected.items()
    ]
    lines += [f'  not read completely: {problem}' for problem in report.damage]
    return lines


def _shares(report: BagReport) -> str:
    rows = sorted(report.busy_s.items(), key=lambda item: -item[1])
    return ', '.join(f'{name} {seconds / report.elapsed_s:.0%}' for name, seconds in rows)
