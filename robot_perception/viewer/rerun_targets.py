"""Where scenes for Rerun go: its viewer, browsers, or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import rerun

from robot_perception.core import OutputError, Scene
from robot_perception.viewer.rerun_file import rerun_file
from robot_perception.viewer.rerun_layout import blueprint
from robot_perception.viewer.rerun_log import RerunLog

# Takes a scene and its frame number.
Add = Callable[[Scene, int], None]


@contextmanager
def open_viewer() -> Iterator[Add]:
    """Start the viewer of this machine, or take the one that runs; it stays open.

    Raises:
        OutputError: the viewer cannot be started.

    """
    log = RerunLog()
    try:
        log.stream.spawn(default_blueprint=blueprint())
    except Exception as error:
        # The bindings raise whatever went wrong below as one of several builtin errors.
        raise OutputError(
            'no_viewer',
            f'Rerun: expected a viewer that can be started, got: {error} '
            'On a machine without a screen use --save, --serve or --html.',
        ) from error
    yield log.add
    log.stream.flush()


@contextmanager
def serve_viewer(web_port: int, announce: Callable[[str], None]) -> Iterator[Add]:
    """Serve the viewer to browsers until the end of the block.

    Args:
        web_port: of the page; the data are on the port after it.
        announce: called with the address for a browser on this machine.

    Raises:
        OutputError: a port cannot be used.

    """
    log = RerunLog()
    try:
        data = log.stream.serve_grpc(grpc_port=web_port + 1, default_blueprint=blueprint())
        rerun.serve_web_viewer(web_port=web_port, open_browser=False, connect_to=data)
    except Exception as error:
        # The bindings raise whatever went wrong below as one of several builtin errors.
        raise OutputError(
            'port_in_use',
            f'Rerun: expected free ports {web_port} and {web_port + 1}, got: {error} '
            'Choose others with --port.',
        ) from error
    announce(f'http://127.0.0.1:{web_port}/?url={quote(data, safe="")}')
    yield log.add
    log.stream.flush()


@contextmanager
def save_recording(path: Path) -> Iterator[Add]:
    """Write an .rrd file, which is there whole at the end of the block or not at all.

    Args:
        path: file to make; its folder must exist.

    Raises:
        OutputError: the file cannot be written; also by what is yielded.

    """
    log = RerunLog()
    with rerun_file(log.stream, path, blueprint()) as file:

        def add(scene: Scene, frame: int) -> None:
            log.add(scene, frame)
            log.stream.flush()
            file.check()

        yield add
