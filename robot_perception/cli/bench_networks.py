"""``robot-perception bench networks``: times each network in each runtime and precision."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.settings import (
    add_backends,
    add_settings,
    check_count,
    read_settings,
)
from robot_perception.pipeline import benchmark_networks, NetworksBenchmark

_MILLISECONDS = 1e3


def add_networks(subjects: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the subject and its flags."""
    parser = add_command(
        subjects,
        'networks',
        run_networks,
        help='time of each network and of a whole frame, in each runtime and precision',
        description='Measures the networks of a preset on 640x480 images; ways to compute the '
        'same take turns. A model whose checkpoint is not on this machine gets random weights in '
        'the published layout, which take as long.',
    )
    add_settings(parser, preset='robot')
    add_backends(parser, ['fp32', 'bf16'])
    parser.add_argument(
        '--batch',
        type=int,
        nargs='+',
        default=[1],
        metavar='N',
        help='numbers of images to compute together (default: 1)',
    )
    parser.add_argument(
        '--against',
        choices=('reference',),
        help='also measure the modules of transformers in fp32 with preprocessing by Pillow',
    )
    parser.add_argument(
        '--frames', type=int, default=30, help='measured calls of each way (default: %(default)s)'
    )
    add_json(parser)


def run_networks(arguments: argparse.Namespace) -> int:
    """Measure the networks."""
    check_json(arguments)
    config = read_settings(arguments)
    for flag, values in (('--frames', [arguments.frames]), ('--batch', arguments.batch)):
        check_count(flag, min(values))
    result = benchmark_networks(
        config,
        precisions=arguments.precision,
        runtimes=arguments.runtime,
        batches=arguments.batch,
        frames=arguments.frames,
        against_reference=arguments.against is not None,
    )
    print_results(arguments, asdict(result), '\n'.join(_table(result)))
    return 0


def _table(result: NetworksBenchmark) -> Iterator[str]:
    yield f'640x480, {result.frames} calls each, interleaved'
    if result.random_weights:
        yield f'random weights in the published layout: {", ".join(result.random_weights)}'
    columns = ('p50/ms', 'p95/ms', 'p99/ms', 'CPU/ms', 'MiB', 'error')
    heads = ''.join(f'{name:>10}' for name in columns)
    yield f'{"":<12}{"runtime":<13}{"precision":<11}{"batch":>5}{heads}'
    for row in result.rows:
        seconds = (row.p50_s, row.p95_s, row.p99_s, row.cpu_s)
        times = ''.join(f'{value * _MILLISECONDS:10.2f}' for value in seconds)
        error = '' if row.relative_error is None else f'{row.relative_error:10.1e}'
        name = f'{row.subject:<12}{row.runtime:<13}{row.precision:<11}{row.batch:>5}'
        yield f'{name}{times}{row.working_memory_mib:10.0f}{error}'
    if result.rows:
        yield f'on {result.rows[0].device}; error: largest relative error of raw outputs (L2)'
    for way, reason in result.skipped.items():
        yield f'{way}: {reason}'
