"""Scenes frame by frame into a recording of Rerun."""

from __future__ import annotations

import numpy as np
import rerun

from robot_perception.core import Scene
from robot_perception.viewer.rerun_scene import scene_to_entities

FRAME, STAMP = 'frame', 'stamp'
_APPLICATION = 'robot_perception'


class RerunLog:
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
        stream.set_time(FRAME, sequence=frame)
        stamp_ns = scene.image.stamp_ns
        if stamp_ns:
            stream.set_time(STAMP, timestamp=np.datetime64(stamp_ns, 'ns'))
        else:
            stream.disable_timeline(STAMP)
        entities = scene_to_entities(scene)
        for path in self._shown - entities.keys():
            stream.log(path, rerun.Clear(recursive=False))
        for path, archetype in entities.items():
            stream.log(path, archetype)
        self._shown = set(entities)
