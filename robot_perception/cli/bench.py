"""``robot-perception bench``: measures processing times and reliability on this machine."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from robot_perception.cli.bench_faults import add_faults
from robot_perception.cli.bench_networks import add_networks
from robot_perception.cli.bench_soak import add_soak
from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.ros_installation import check_ros
from robot_perception.cli.settings import add_settings, check_count, read_settings

_MILLISECONDS = 1e3


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'bench', help='measure processing times and reliability on this machine'
    )
    subjects = parser.add_subparsers(metavar='SUBJECT', required=True, dest='subject')
    node = add_command(
        subjects,
        'node',
        run_node,
        help='time from publishing an image to the last output, without the networks',
        description='Runs the node on 640x480 images with all topics subscribed and measures the '
        'time around the networks.',
    )
    add_settings(node, preset='stub')
    lift = add_command(
        subjects,
        'lift',
        run_lift,
        help='time from depth and masks to points and 3D boxes, compared with Open3D',
        description='Lifts eight objects of a rendered 640x480 scene to 3D on one core.',
    )
    for subject in (node, lift):
        subject.add_argument(
            '--frames', type=int, default=100, help='number of frames (default: %(default)s)'
        )
        add_json(subject)
    add_networks(subjects)
    add_faults(subjects)
    add_soak(subjects)


def run_node(arguments: argparse.Namespace) -> int:
    """Measure the node."""
    check_json(arguments)
    config = read_settings(arguments)
    check_count('--frames', arguments.frames)
    check_ros()
    from robot_perception.nodes import benchmark_node  # noqa: PLC0415 - needs ROS

    result = benchmark_node(config, arguments.frames)
    lines = [f'{result.frames} frames of 640x480, all topics subscribed']
    rows = {
        'image to last output': result.total_s,
        'networks': result.models_s,
        'overhead': result.overhead_s,
        **{f'  {name}': value for name, value in result.steps_s.items()},
    }
    lines.append(f'{"":<42}{"p50/ms":>9}{"p95/ms":>9}{"p99/ms":>9}{"share":>8}')
    for name, spread in rows.items():
        share = f'{spread[0] / result.overhead_s[0]:8.0%}' if name.startswith('  ') else ''
        lines.append(f'{name:<42}{"".join(f"{s * _MILLISECONDS:9.1f}" for s in spread)}{share}')
    print_results(arguments, asdict(result), '\n'.join(lines))
    return 0


def run_lift(arguments: argparse.Namespace) -> int:
    """Measure lifting to 3D."""
    check_json(arguments)
    check_count('--frames', arguments.frames)
    from robot_perception.world import benchmark_lifting  # noqa: PLC0415 - for this verb

    result = benchmark_lifting(arguments.frames)
    rows = {
        **result.steps_s,
        'total': result.total_s,
        "Open3D's create_from_rgbd_image": result.open3d_s,
    }
    lines = [
        f'{result.frames} frames of 640x480, eight objects',
        f'{"":<42}{"p50/ms":>9}{"p95/ms":>9}',
        *(
            f'{name:<42}{p50 * _MILLISECONDS:9.1f}{p95 * _MILLISECONDS:9.1f}'
            for name, (p50, p95) in rows.items()
        ),
        f'{"rays, once per calibration":<42}{result.rays_s * _MILLISECONDS:9.1f}',
    ]
    print_results(arguments, asdict(result), '\n'.join(lines))
    return 0
