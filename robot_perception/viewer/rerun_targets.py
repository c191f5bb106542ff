"""Where scenes for Rerun go: its viewer, browsers, or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import socket
import subprocess
import sys
import time
from urllib.parse import quote

import numpy as np
import rerun
import rerun.blueprint as layout
import rerun_cli

from robot_perception.core import OutputError, Scene
from robot_perception.viewer import rerun_scene as paths
from robot_perception.viewer.ports import check_ports
from robot_perception.viewer.rerun_file import rerun_file

_FRAME, _STAMP = 'frame', 'stamp'
_APPLICATION = 'robot_perception'
# Meters in the optical frame: beside and above the camera, looking at what is before it.
_EYE_M, _TARGET_M, _UP = (-0.6, -0.7, -0.5), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)
_EXECUTABLE = Path(rerun_cli.__file__).with_name('rerun')
_WITHOUT_SCREEN = 'On a machine without a screen use --save, --serve or --html.'
_START_S, _POLL_S = 60, 0.1
# Takes a scene and its frame number.
Add = Callable[[Scene, int], None]


def check_screen() -> None:
    """Raise OutputError where no window can be opened, without starting anything."""
    displays = ('DISPLAY', 'WAYLAND_DISPLAY')
    if sys.platform == 'linux' and not any(map(os.environ.get, displays)):
        raise OutputError('no_viewer', f'Rerun: expected a screen, got none. {_WITHOUT_SCREEN}')


@contextmanager
def open_viewer() -> Iterator[Add]:
    """Start the viewer of this environment, or take the one that runs; it stays open.

    Raises:
        OutputError: the viewer cannot be started, or ended.
    """
    check_screen()
    log = _RerunLog()
    with _viewer_errors():
        rerun.spawn(
            executable_path=str(_EXECUTABLE), recording=log.stream, default_blueprint=_blueprint()
        )
    yield log.add
    with _viewer_errors():
        log.stream.flush()


@contextmanager
def _viewer_errors() -> Iterator[None]:
    """Raise OutputError for any error: the bindings raise several builtin ones."""
    try:
        yield
    except Exception as error:
        raise OutputError(
            'no_viewer',
            f'Rerun: expected a viewer that runs, got: {error} {_WITHOUT_SCREEN}',
        ) from error


@contextmanager
def serve_viewer(host: str, web_port: int, announce: Callable[[str], None]) -> Iterator[Add]:
    """Serve the viewer to browsers until the end of the block.

    Args:
        host: address to listen on: 127.0.0.1 for this machine only, 0.0.0.0 for all interfaces.
        web_port: of the page; the data are on the port after it.
        announce: called with the address for a browser.

    Raises:
        OutputError: a port cannot be used, or the server does not start.
    """
    check_ports(host, web_port, web_port + 1)
    # The server of the bindings listens on all interfaces; that of the program on one address.
    command = [str(_EXECUTABLE), '--serve-web', '--bind', host, '--server-memory-limit', '1GiB']
    command += ['--web-viewer-port', str(web_port), '--port', str(web_port + 1)]
    # In a session of its own: Ctrl-C must not end it before what was sent has arrived.
    with subprocess.Popen(  # noqa: S603 - our own
        command, env=_quiet(), stdout=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            name = '127.0.0.1' if host in {'0.0.0.0', '::'} else host  # noqa: S104 - compared
            name = f'[{name}]' if ':' in name else name
            data = f'rerun+http://{name}:{web_port + 1}/proxy'
            _wait_for(server, name.strip('[]'), web_port + 1)
            log = _RerunLog()
            log.stream.connect_grpc(data, default_blueprint=_blueprint())
            announce(f'http://{name}:{web_port}/?url={quote(data, safe="")}')
            yield log.add
            log.stream.flush()
        finally:
            server.terminate()


def _quiet() -> dict[str, str]:
    """Return the environment of a server that prints warnings only, unless set otherwise."""
    return {'RUST_LOG': 'warn', 'RERUN_APP_ONLY': 'true', **os.environ}


def _wait_for(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Wait until the server accepts connections."""
    deadline = time.monotonic() + _START_S
    while not _accepts_connections(host, port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise OutputError(
                'no_viewer',
                f'Rerun: expected a server on {host}:{port} within {_START_S} s, got none. '
                'Try another --port, or write a file with --save.',
            )
        time.sleep(_POLL_S)


def _accepts_connections(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET) as client:
        client.settimeout(1)
        return client.connect_ex((host, port)) == 0


@contextmanager
def save_recording(path: Path) -> Iterator[Add]:
    """Write an .rrd file, which is there whole at the end of the block or not at all.

    Args:
        path: file to make; its folder must exist.

    Raises:
        OutputError: the file cannot be written; also by what is yielded.
    """
    log = _RerunLog()
    with rerun_file(log.stream, path, _blueprint()) as check:

        def add(scene: Scene, frame: int) -> None:
            log.add(scene, frame)
            log.stream.flush()
            check()

        yield add


class _RerunLog:
    """A recording that grows by one scene at a time."""

    def __init__(self) -> None:
        """Begin an empty recording, which waits in memory until `stream` gets a sink."""
        self.stream = rerun.RecordingStream(_APPLICATION)
        self.stream.log('/', rerun.ViewCoordinates.RDF, static=True)
        self._shown: set[str] = set()

    def add(self, scene: Scene, frame: int) -> None:
        """Show a scene.

        What an earlier frame showed and this one lacks is cleared: a result never stands beside
        the picture of another frame.

        Args:
            scene: the result.
            frame: its number, for the timeline of that name. Its stamp is the other timeline,
                unless it is 0.
        """
        stream = self.stream
        stream.set_time(_FRAME, sequence=frame)
        stamp_ns = scene.image.stamp_ns
        if stamp_ns:
            stream.set_time(_STAMP, timestamp=np.datetime64(stamp_ns, 'ns'))
        else:
            stream.disable_timeline(_STAMP)
        entities = paths.scene_to_entities(scene)
        for path in self._shown - entities.keys():
            stream.log(path, rerun.Clear(recursive=False))
        for path, archetype in entities.items():
            stream.log(path, archetype)
        self._shown = set(entities)


def _blueprint() -> layout.Blueprint:
    """Space on the left, picture and depth on the right, times below."""
    return layout.Blueprint(
        layout.Vertical(
            layout.Horizontal(
                layout.Spatial3DView(
                    name='Space',
                    origin='/',
                    contents=[
                        f'+ /{entity}'
                        for entity in (
                            *(
                                paths.POINTS,
                                paths.BOXES_3D,
                                paths.NAMES_3D,
                                paths.UNCERTAINTY,
                                paths.CAMERA,
                            ),
                        )
                    ],
                    eye_controls=layout.EyeControls3D(
                        position=_EYE_M, look_target=_TARGET_M, eye_up=_UP
                    ),
                ),
                layout.Vertical(
                    _picture_view('Objects', paths.IMAGE, paths.CLASSES, paths.BOXES_2D),
                    layout.Tabs(
                        _picture_view('Depth', paths.DEPTH, paths.RELATIVE_DEPTH),
                        _picture_view('Instances', paths.IMAGE, paths.INSTANCES),
                        _picture_view('Features', paths.FEATURES),
                    ),
                ),
                column_shares=[3, 2],
            ),
            layout.TimeSeriesView(name='Milliseconds of each stage', origin=f'/{paths.TIMING}'),
            row_shares=[4, 1],
        ),
        layout.TimePanel(timeline=_FRAME, state='collapsed'),
        collapse_panels=True,
    )


def _picture_view(name: str, *entities: str) -> layout.Spatial2DView:
    return layout.Spatial2DView(
        name=name, origin=f'/{paths.CAMERA}', contents=[f'+ /{entity}' for entity in entities]
    )
