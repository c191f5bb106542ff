"""The settings of a replay: parameters of the node and flags of the command."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.pipeline import parameter, Section
from robot_perception.sources import (
    NOMINAL_HFOV_DEG,
    open_source,
    OPTICAL_FRAME,
    Source,
    TopicWish,
)


@dataclass(frozen=True, slots=True)
class ReplayConfig(Section):
    """How a recording is published."""

    source: str = parameter(
        '',
        'Path of a rosbag2, video, image or folder of images, or index of a webcam.',
    )
    rate: float = parameter(
        1.0,
        'Playback speed; 2 is twice as fast as recorded.',
        limits=(0.001, 1000.0),
    )
    loop: bool = parameter(
        False,  # noqa: FBT003 - the default of a parameter
        'Start over at the end; time stamps then jump back.',
    )
    clock: bool = parameter(
        False,  # noqa: FBT003 - the default of a parameter
        'Publish the recorded time on /clock, for nodes with use_sim_time.',
    )
    fps: float = parameter(
        0.0,
        'Frames per second of images and videos; 0 is the recorded rate, or 30 for images.',
        unit='1/s',
        limits=(0.0, 1000.0),
    )
    hfov_deg: float = parameter(
        NOMINAL_HFOV_DEG,
        'Horizontal field of view to assume where no calibration is recorded. It makes a nominal '
        'pinhole camera: distances derived from it are only as good as this value.',
        unit='degrees',
        limits=(1.0, 179.0),
    )
    frame_id: str = parameter(
        OPTICAL_FRAME,
        'Coordinate frame of images, videos and webcams; a bag has its own.',
    )
    image_topic: str = parameter('', 'Image topic of a bag; empty selects the only camera.')
    camera_info_topic: str = parameter(
        '', 'CameraInfo topic of a bag; empty selects the one beside the images.'
    )
    depth_topic: str = parameter('', 'Depth topic of a bag; empty selects the only one.')
    wait_for_subscriber_s: float = parameter(
        0.0,
        'Longest wait for a subscriber of the images before the first image is published.',
        unit='s',
        limits=(0.0, 3600.0),
    )

    def open(self) -> Source:
        """Open the source.

        Raises:
            SourceError: it cannot be read.
        """
        return open_source(
            self.source,
            hfov_deg=self.hfov_deg,
            fps=self.fps or None,
            frame_id=self.frame_id,
            topics=TopicWish(
                self.image_topic or None,
                self.camera_info_topic or None,
                self.depth_topic or None,
            ),
        )
