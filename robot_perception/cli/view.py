"""``robot-perception view INPUT...``: shows results in Rerun or as HTML pages, without RViz."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
import threading
from typing import Any

from robot_perception import viewer
from robot_perception.cli.command import add_command
from robot_perception.cli.input_loop import Add, add_inputs, EXIT_CODES, InputLoop, Target
from robot_perception.cli.output_paths import check_new_file, check_new_folder, new_folder
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.text import counted
from robot_perception.core import ConfigError, OutputError
from robot_perception.viewer import Gallery

_HOST, _WEB_PORT, _FOXGLOVE_PORT = '127.0.0.1', 9090, 8765
_LAST_PORT = 65534
_SUFFIX = '.rrd'
_EPILOG = f"""\
{EXIT_CODES}

examples:
  robot-perception view results_bag
  robot-perception view camera_bag --preset robot --save seen.rrd
  robot-perception view photo.jpg --html pages
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'view',
        run,
        help='show results in Rerun or a browser, without RViz',
        description='Shows the image, objects, masks, depth, point cloud, 3D boxes and timing of '
        'every frame. Results in a bag are shown as recorded; any other input is processed by '
        'the networks first.',
        epilog=_EPILOG,
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        '--save', type=Path, metavar='FILE', help='write a .rrd file instead of opening the viewer'
    )
    target.add_argument(
        '--serve', action='store_true', help='serve the viewer to web browsers until Ctrl-C'
    )
    target.add_argument(
        '--foxglove',
        action='store_true',
        help='serve a websocket to Foxglove until Ctrl-C; starts when Foxglove subscribes',
    )
    target.add_argument(
        '--html',
        type=Path,
        metavar='FOLDER',
        help='write HTML pages, which need neither Rerun nor a network connection',
    )
    parser.add_argument(
        '--port',
        type=int,
        help=f'port of --serve ({_WEB_PORT}; the data use the next port) or --foxglove '
        f'({_FOXGLOVE_PORT})',
    )
    parser.add_argument(
        '--host',
        default=_HOST,
        metavar='ADDRESS',
        help='address on which --serve and --foxglove listen; 0.0.0.0 lets other machines '
        'connect, without a password (default: %(default)s)',
    )
    add_json(parser)
    add_inputs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the inputs and return the exit code."""
    loop = InputLoop(arguments)
    check_json(arguments)
    if arguments.html is not None:
        return _write_pages(loop, arguments)
    if arguments.save is not None:
        _check_recording(arguments)
    port = arguments.port
    if port is None:
        port = _FOXGLOVE_PORT if arguments.foxglove else _WEB_PORT
    if not 0 < port <= _LAST_PORT:
        raise ConfigError('out_of_range', f'--port: expected 1 to {_LAST_PORT}, got {port}.')
    log = partial(print, flush=True)
    if arguments.foxglove:
        if find_spec('foxglove') is None:
            raise OutputError(
                'missing_library',
                'expected the library foxglove, got a Python without it. Install it with '
                '"pip install foxglove-sdk".',
            )
        viewer.check_ports(arguments.host, port)
        return _serve(loop, partial(viewer.serve_foxglove, arguments.host, port, log))
    if find_spec('rerun') is None:
        raise OutputError(
            'missing_library',
            'expected the library Rerun, got a Python without it. Install it with '
            '"pip install rerun-sdk" (it needs 800 MB), or write HTML pages with --html, which '
            'needs no Rerun.',
        )
    if arguments.save is not None:
        return _save(loop, partial(viewer.save_recording, arguments.save), arguments)
    if arguments.serve:
        viewer.check_ports(arguments.host, port, port + 1)
        return _serve(loop, partial(viewer.serve_viewer, arguments.host, port, log))
    viewer.check_screen()
    return loop.run(viewer.open_viewer)


def _write_pages(loop: InputLoop, arguments: argparse.Namespace) -> int:
    folder: Path = arguments.html
    inputs: Sequence[str] = arguments.inputs
    check_new_folder(folder, inputs, force=arguments.force)

    @contextmanager
    def pages() -> Iterator[Add]:
        notes = [f'Input: {", ".join(inputs)}.', *filter(None, [loop.caveat])]
        with new_folder(folder) as new:
            gallery = Gallery(new, 'robot_perception', notes, caption=loop.caption)
            yield gallery.add
            index = gallery.finish().name
        _report(loop, folder.resolve() / index, arguments)

    return loop.run(pages)


def _save(loop: InputLoop, target: Target, arguments: argparse.Namespace) -> int:
    code = loop.run(target)
    if loop.frames:
        path: Path = arguments.save
        _report(loop, path.resolve(), arguments, f'; open it with "rerun {path}"')
    return code


def _report(loop: InputLoop, path: Path, arguments: argparse.Namespace, hint: str = '') -> None:
    text = f'wrote {counted(loop.frames, "frame")}: {path}{hint}'
    print_results(arguments, {'frames': loop.frames, 'output': str(path)}, text)


def _serve(loop: InputLoop, target: Target) -> int:
    @contextmanager
    def served() -> Iterator[Add]:
        with target() as add:
            yield add
            if loop.frames and not loop.is_interrupted:
                print(f'serving {counted(loop.frames, "frame")} until Ctrl-C', flush=True)
                with suppress(KeyboardInterrupt):
                    threading.Event().wait()

    return loop.run(served)


def _check_recording(arguments: argparse.Namespace) -> None:
    path: Path = arguments.save
    if path.suffix != _SUFFIX:
        raise ConfigError(
            'wrong_suffix', f'--save: expected a name ending in {_SUFFIX}, got {path}.'
        )
    check_new_file('--save', path, force=arguments.force)
