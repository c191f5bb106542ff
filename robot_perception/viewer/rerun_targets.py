"""Where scenes for Rerun go: its viewer, browsers, or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import rerun
import rerun.blueprint as layout

from robot_perception.core import OutputError, Scene
from robot_perception.viewer import rerun_scene as paths
from robot_perception.viewer.rerun_file import rerun_file

_FRAME, _STAMP = 'frame', 'stamp'
_APPLICATION = 'robot_perception'
# Meters in the optical frame: beside and above the camera, looking at what is before it.
_EYE_M, _TARGET_M, _UP = (-0.6, -0.7, -0.5), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)
# Takes a scene and its frame number.
Add = Callable[[Scene, int], None]


@contextmanager
def open_viewer() -> Iterator[Add]:
    """Start the viewer of this machine, or take the one that runs; it stays open.

    Raises:
        OutputError: the viewer cannot be started.
    """
    log = _RerunLog()
    try:
        log.stream.spawn(default_blueprint=_blueprint())
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
    log = _RerunLog()
    try:
        data = log.stream.serve_grpc(grpc_port=web_port + 1, default_blueprint=_blueprint())
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
                            *(paths.POINTS, paths.BOXES_3D, paths.UNCERTAINTY, paths.CAMERA),
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
