"""``robot-perception bag IN... -o OUT``: recordings in, a bag of results out."""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
import math
from pathlib import Path
import sys
from typing import Any

from tqdm import tqdm

from robot_perception.bag import BagJob, BagReport, process_bags, REPRODUCIBLE
from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.pipeline import keep_freed_memory
from robot_perception.sources import TopicWish

_EXIT_PARTLY = 3
_MEGABYTE = 1e6
_EPILOG = """\
exit codes: 0 all images, 1 failed, 2 bad arguments, 3 a part of the recordings was not readable,
130 interrupted; the same command goes on where it was interrupted

examples:
  robot-perception bag recording/ -o results --preset cpu
  robot-perception bag part_0/ part_1/ -o results --topics scene detections_3d --copy-input
  robot-perception bag rgbd.mcap -o results --set depth.source=fused --start 10 --end 60
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'bag',
        help='process every image of rosbag2 recordings into a new bag, without ROS',
        description='Sees every image of rosbag2 recordings as the node would, as fast as this '
        'machine can, and writes a rosbag2 with the topics of the node.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'inputs', nargs='+', type=Path, metavar='IN', help='folder of a rosbag2, .mcap or .db3'
    )
    parser.add_argument(
        '-o', '--output', type=Path, required=True, metavar='OUT', help='folder to make'
    )
    camera = parser.add_argument_group('what is read')
    camera.add_argument('--image-topic', metavar='TOPIC', help='for bags of several cameras')
    camera.add_argument('--camera-info-topic', metavar='TOPIC', help='default: beside the images')
    camera.add_argument(
        '--depth-topic', metavar='TOPIC', help='for depth.source sensor or fused; default: the one'
    )
    camera.add_argument(
        '--start', type=float, default=0.0, metavar='S', help='seconds from each beginning'
    )
    camera.add_argument(
        '--end', type=float, default=math.inf, metavar='S', help='seconds from each beginning'
    )
    camera.add_argument(
        '--every', type=int, default=1, metavar='N', help='every n-th image (default: all)'
    )
    written = parser.add_argument_group('what is written')
    written.add_argument(
        '--topics',
        nargs='+',
        default=list(REPRODUCIBLE),
        metavar='NAME',
        help=f'outputs; the networks that none of them needs do not run. Default: '
        f'{" ".join(REPRODUCIBLE)}. "timing" also writes how long each frame took, which differs '
        'from run to run',
    )
    written.add_argument(
        '--name',
        default='/perception',
        help='full name of the node that topics stand below (default: %(default)s)',
    )
    written.add_argument(
        '--copy-input', action='store_true', help='write the messages of the recordings as well'
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
        help='images of one file; an interrupted run goes on after a whole one '
        '(default: %(default)s)',
    )
    written.add_argument(
        '--force',
        action='store_true',
        help='replace an output that is there, and drop what another job left unfinished',
    )
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')
    add_settings(parser, preset='demo')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Process the recordings; returns an exit code."""
    config = read_settings(arguments)
    job = BagJob(
        inputs=tuple(arguments.inputs),
        output=arguments.output,
        config=config,
        wish=TopicWish(arguments.image_topic, arguments.camera_info_topic, arguments.depth_topic),
        topics=tuple(arguments.topics),
        name=arguments.name,
        copy_input=arguments.copy_input,
        start_s=arguments.start,
        end_s=arguments.end,
        every=arguments.every,
        storage=arguments.storage,
        compress=arguments.compress,
        split=arguments.split,
        force=arguments.force,
    )
    keep_freed_memory()
    if config.caveat:
        _note(config.caveat)
    with tqdm(unit='frame', disable=None) as bar:

        def begin(done: int, total: int) -> None:
            if done:
                _note(f'goes on after {done} images that an earlier run has done')
            bar.reset(total)
            bar.initial = done
            bar.update(done)

        try:
            report = process_bags(job, on_note=_note, on_begin=begin, on_image=bar.update)
        except KeyboardInterrupt:
            _note('interrupted; the same command goes on after the last whole file')
            raise
        bar.total = bar.n
        bar.refresh()
    if arguments.json:
        print(json.dumps(_json(report)))
    else:
        print('\n'.join(_lines(report)))
    return 0 if report.is_whole else _EXIT_PARTLY


def _note(text: str) -> None:
    tqdm.write(f'note: {text}', file=sys.stderr)


def _json(report: BagReport) -> dict[str, Any]:
    return {**asdict(report), 'counts': report.counts.values()}


def _lines(report: BagReport) -> list[str]:
    counts = report.counts
    rate = (counts.seen - report.resumed_after) / report.elapsed_s
    messages, megabytes = sum(report.messages.values()), report.bytes_written / _MEGABYTE
    lines = [
        f'{report.output}: {counts.seen} images, {messages} messages, {megabytes:.1f} MB',
        f'  {report.elapsed_s:.1f} s, {rate:.1f} frames/s; busy, side by side: {_shares(report)}',
    ]
    for name, reasons in (
        ('refused', counts.rejected),
        ('without calibration, so nothing 3D', counts.without_calibration),
        ('without depth of the sensor', counts.without_depth),
        ('not in the frames asked for, the first because', counts.without_frames),
    ):
        lines += [f'  {count} images {name}: {reason}' for reason, count in reasons.items()]
    lines += [f'  not read to the end: {problem}' for problem in report.damage]
    return lines


def _shares(report: BagReport) -> str:
    rows = sorted(report.busy_s.items(), key=lambda item: -item[1])
    return ', '.join(f'{name} {seconds / report.elapsed_s:.0%}' for name, seconds in rows)
