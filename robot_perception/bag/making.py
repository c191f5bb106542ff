"""What was seen, to the messages of the bag."""

from __future__ import annotations

from robot_perception.bag.job import BagJob
from robot_perception.bag.unfinished import Row
from robot_perception.conversions import header_message, label_info_message
from robot_perception.pipeline import (
    LABEL_INFO,
    LABEL_INFO_TYPE,
    MarkerMemory,
    Published,
)


class Maker:
    """Makes the messages of a job; for one thread.

    Attributes:
        markers: what viewers of the bag show after the last message.

    """

    def __init__(self, job: BagJob, class_names: tuple[str, ...], markers: MarkerMemory) -> None:
        """Begin; ``class_names`` are those of the detector."""
        self.markers = markers
        self._job = job
        self._class_names = class_names

    def rows(self, frame: Published, received_ns: int) -> list[Row]:
        """Make every output of a frame, recorded when its image was."""
        rows = []
        for output in self._job.outputs:
            message = output.make(frame)
            if message is not None:
                topic = f'{self._job.name}/{output.topic}'
                rows.append(Row(topic, output.type_name, message, received_ns))
        return rows

    def label_info(self, frame: Published, received_ns: int) -> Row:
        """Make the names of the classes, stamped as the frame."""
        message = label_info_message(
            frame.factory,
            header_message(frame.factory, frame.scene.image.stamp_ns, ''),
            self._class_names,
            self._job.config.detector.threshold,
        )
        topic = f'{self._job.name}/{LABEL_INFO}'
        return Row(topic, LABEL_INFO_TYPE, message, received_ns, latched=True)
