"""``robot-perception export INPUT... -o FOLDER``: writes results in common file formats."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.input_loop import Add, add_inputs, EXIT_CODES, InputLoop
from robot_perception.cli.output_paths import add_output, check_new_folder, new_folder
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.text import counted
from robot_perception.viewer import Exporter, Kind

_EPILOG = f"""\
outputs:
  images     PNG of the input image
  coco       annotations.json (images, categories, annotations) and results.json, masks as RLE
  depth_png  16-bit PNG, millimeters, 0 = unknown (REP 118)
  depth_npy  NumPy float32, meters, NaN = unknown
  instances  16-bit PNG, index of the object + 1, 0 = background
  classes    16-bit PNG, class id + 1, 0 = background; classes.json names them
  semantics  16-bit PNG, class id of each pixel, 65535 = none; classes.json names them
  clouds     binary PLY, meters in the optical frame

{EXIT_CODES}

examples:
  robot-perception export results_bag -o exported
  robot-perception export results_bag -o exported --only coco images
  robot-perception export -o exported --only clouds -- *.jpg
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'export',
        run,
        help='write results as COCO JSON, PLY, PNG and NPY',
        description='Writes results in common file formats, one folder per format. Results in a '
        'bag are exported as recorded; any other input is processed by the networks first.',
        epilog=_EPILOG,
    )
    add_output(parser)
    kinds = [kind.value for kind in Kind]
    parser.add_argument(
        '--only',
        nargs='+',
        choices=kinds,
        default=kinds,
        metavar='WHAT',
        help='outputs to write (default: all; a 640x480 frame takes about 7 MB)',
    )
    add_json(parser)
    add_inputs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Export the inputs and return the exit code."""
    loop = InputLoop(arguments)
    check_json(arguments)
    check_new_folder(arguments.output, arguments.inputs, force=arguments.force)

    @contextmanager
    def files() -> Iterator[Add]:
        with new_folder(arguments.output) as new:
            exporter = Exporter(new, [Kind(name) for name in arguments.only])
            yield exporter.add
            exporter.finish(loop.class_names)
        _report(exporter, loop.frames, arguments)

    return loop.run(files)


def _report(exporter: Exporter, frames: int, arguments: argparse.Namespace) -> None:
    written = {kind.value: count for kind, count in exporter.written.items()}
    lacking = {kind.value: count for kind, count in exporter.lacking.items() if count}
    lines = [f'wrote {counted(frames, "frame")} to {arguments.output.resolve()}']
    for kind, count in written.items():
        without = f', {lacking[kind]} frames have none' if kind in lacking else ''
        lines.append(f'  {kind:<10} {counted(count, "file")}{without}')
    document = {'frames': frames, 'files': written, 'frames_without': lacking}
    print_results(arguments, document, '\n'.join(lines))
