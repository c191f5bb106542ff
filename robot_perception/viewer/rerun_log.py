"""Scenes frame by frame into Rerun: a viewer, a server for browsers, or a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path

import numpy as np
import rerun
import rerun.blueprint as layout

from robot_perception.core import Scene
from robot_perception.core.errors import OutputError
from robot_perception.viewer import rerun_scene as paths
from robot_perception.viewer.atomic import replacing

FRAME, STAMP = 'frame', 'stamp'
_APPLICATION = 'robot_perception'
# A whole .rrd file ends in a footer with this mark.
_END, _FOOTER_BYTES = b'RRF2FOOT', 64
# Metres in the optical frame: beside and above the camera, looking at what is before it.
_EYE_M, _TARGET_M, _UP = (-0.6, -0.7, -0.5), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)


class RerunLog:
    """A recording that grows by one scene at a time."""

    def __init__(self) -> None:
        """Begin an empty recording; where it goes is chosen by the functions of this module."""
        self.stream = rerun.RecordingStream(_APPLICATION)
        self.stream.log('/', rerun.ViewCoordinates.RDF, static=True)
        self._shown: set[str] = set()
        self._names: dict[int, str] = {}
        self._instances = 0

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
        stream.set_time(FRAME, sequence=frame)
        stamp_ns = scene.image.stamp_ns
        if stamp_ns:
            stream.set_time(STAMP, timestamp=np.datetime64(stamp_ns, 'ns'))
        else:
            stream.disable_timeline(STAMP)
        self._explain(scene)
        entities = paths.entities_of(scene)
        for path in self._shown - entities.keys():
            stream.log(path, rerun.Clear(recursive=False))
        for path, archetype in entities.items():
            stream.log(path, archetype)
        self._shown = set(entities)

    def _explain(self, scene: Scene) -> None:
        """Name classes and colour instances that are new."""
        names = {item.class_id: item.class_name for item in scene.objects}
        if not names.items() <= self._names.items():
            self._names |= names
            self.stream.log(paths.CLASSES, paths.class_labels(self._names), static=True)
        if len(scene.objects) > self._instances:
            self._instances = len(scene.objects)
            self.stream.log(paths.INSTANCES, paths.instance_labels(self._instances), static=True)


def open_viewer(log: RerunLog) -> None:
    """Start the viewer of this machine, or take the one that runs, and show ``log`` in it.

    Raises:
        OutputError: the viewer cannot be started.

    """
    try:
        log.stream.spawn(default_blueprint=_blueprint())
    except Exception as error:
        # The bindings raise whatever went wrong below as one of several builtin errors.
        raise OutputError(
            f'Rerun: expected a viewer that can be started, got: {error} '
            'On a machine without a screen use --save, --serve or --html.'
        ) from error


def serve(log: RerunLog, web_port: int, data_port: int) -> str:
    """Offer ``log`` to browsers, as long as this process lives.

    Args:
        log: the recording.
        web_port: of the page.
        data_port: of the recording, over gRPC.

    Returns:
        Address of the page on this machine.

    Raises:
        OutputError: a port cannot be used.

    """
    try:
        data = log.stream.serve_grpc(grpc_port=data_port, default_blueprint=_blueprint())
        rerun.serve_web_viewer(web_port=web_port, open_browser=False, connect_to=data)
    except Exception as error:
        # The bindings raise whatever went wrong below as one of several builtin errors.
        raise OutputError(
            f'Rerun: expected free ports {web_port} and {data_port}, got: {error} '
            'Stop what uses them.'
        ) from error
    return f'http://127.0.0.1:{web_port}/?url={data}'


class RerunFile:
    """A growing .rrd file."""

    def __init__(self, log: RerunLog, path: Path) -> None:
        """Take what is logged from now on."""
        self._stream = log.stream
        self._path = path

    def flush(self) -> None:
        """Write what was logged, and find out whether it could be.

        Raises:
            OutputError: it could not.

        """
        try:
            self._stream.flush()
        except RuntimeError as error:
            # The thread that writes keeps the reason to itself, and the log of the library.
            raise _unwritable(self._path, str(error)) from error


@contextmanager
def saving(log: RerunLog, path: Path) -> Iterator[RerunFile]:
    """Write ``log`` to a file, which is there whole at the end of the block or not at all.

    Args:
        log: the recording, still empty.
        path: file to make, ending in ``.rrd``; its folder must exist.

    Raises:
        OutputError: the file cannot be written.

    """
    with replacing(path) as part:
        try:
            log.stream.save(part, default_blueprint=_blueprint())
        except RuntimeError as error:
            raise _unwritable(path, str(error)) from error
        target = RerunFile(log, path)
        try:
            yield target
            target.flush()
        finally:
            log.stream.disconnect()
        with part.open('rb') as file:
            file.seek(-_FOOTER_BYTES, os.SEEK_END)
            if _END not in file.read():
                raise _unwritable(path, 'its end is missing.')


def _unwritable(path: Path, reason: str) -> OutputError:
    return OutputError(
        f'{path}: cannot be written: {reason} Check the folder, its permissions and the free space.'
    )


def _blueprint() -> layout.Blueprint:
    """Picture and depth on the left, space in the middle, times below."""
    return layout.Blueprint(
        layout.Vertical(
            layout.Horizontal(
                layout.Spatial3DView(
                    name='Space',
                    origin='/',
                    contents=[f'+ /{paths.POINTS}', f'+ /{paths.BOXES_3D}', f'+ /{paths.CAMERA}'],
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
        layout.TimePanel(timeline=FRAME, state='collapsed'),
        collapse_panels=True,
    )


def _picture_view(name: str, *entities: str) -> layout.Spatial2DView:
    return layout.Spatial2DView(
        name=name, origin=f'/{paths.CAMERA}', contents=[f'+ /{entity}' for entity in entities]
    )
