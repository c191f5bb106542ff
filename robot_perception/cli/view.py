"""``robot-perception view INPUT...``: results without RViz, in Rerun or as pages."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
import os
from pathlib import Path
import threading
from typing import Any

from robot_perception import viewer
from robot_perception.cli.scenes import Add, add_inputs, EXIT_CODES, Target, Walk
from robot_perception.core import ConfigError, OutputError
from robot_perception.viewer import check_new_folder, Gallery

_WEB_PORT = 9090
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
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'view',
        help='look at results in Rerun or a browser, without RViz',
        description='Shows picture, objects, masks, depth, cloud and boxes in space of every '
        'frame, and the times. Results of a bag are shown as they were recorded; anything else '
        'goes through the networks first.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        '--save', type=Path, metavar='FILE', help='write a .rrd file instead of opening the viewer'
    )
    target.add_argument(
        '--serve', action='store_true', help='serve the viewer to browsers until Ctrl-C'
    )
    target.add_argument(
        '--html',
        type=Path,
        metavar='FOLDER',
        help='write pages with pictures, which need neither Rerun nor a network',
    )
    parser.add_argument(
        '--port',
        type=int,
        default=_WEB_PORT,
        help='of --serve; the data are on the one after it (default: %(default)s)',
    )
    add_inputs(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the inputs; returns an exit code."""
    walk = Walk(arguments)
    if arguments.html is not None:
        return _write_pages(walk, arguments.html, arguments.inputs)
    if arguments.save is not None:
        _check_new(arguments.save)
    if not 0 < arguments.port <= _LAST_PORT:
        raise ConfigError(f'--port: expected 1 to {_LAST_PORT}, got {arguments.port}.')
    if find_spec('rerun') is None:
        raise OutputError(
            'expected the library Rerun, got a Python without it. Install it with '
            '"pip install rerun-sdk" (it needs 800 MB), or write pages with --html, which works '
            'without it.'
        )
    if arguments.save is not None:
        return _save(walk, partial(viewer.save_recording, arguments.save), arguments.save)
    if arguments.serve:
        say = partial(print, flush=True)
        return _serve(walk, partial(viewer.serve_viewer, arguments.port, say))
    return walk.run(viewer.open_viewer)


def _write_pages(walk: Walk, folder: Path, inputs: Sequence[str]) -> int:
    check_new_folder(folder)

    @contextmanager
    def pages() -> Iterator[Add]:
        gallery = Gallery(folder, 'robot_perception', [f'Seen: {", ".join(inputs)}.'])
        yield gallery.add
        print(f'wrote {walk.frames} frames: {gallery.finish().resolve()}')

    return walk.run(pages)


def _save(walk: Walk, target: Target, path: Path) -> int:
    code = walk.run(target)
    if walk.frames:
        print(f'wrote {walk.frames} frames: {path.resolve()}; look at them with "rerun {path}"')
    return code


def _serve(walk: Walk, target: Target) -> int:
    @contextmanager
    def served() -> Iterator[Add]:
        with target() as add:
            yield add
            print(f'{walk.frames} frames are there to look at until Ctrl-C', flush=True)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()

    return walk.run(served)


def _check_new(path: Path) -> None:
    if path.suffix != _SUFFIX:
        raise ConfigError(f'--save: expected a name ending in {_SUFFIX}, got {path}.')
    if os.path.lexists(path):
        raise OutputError(
            f'{path}: expected no file of that name, got one. Remove it, or choose another.'
        )
    if not path.parent.is_dir():
        raise OutputError(f'{path}: expected a folder {path.parent}, got none. Make it first.')
