"""Values of the parameters that offer a choice, and what each choice decides."""

from __future__ import annotations

import re

from robot_perception.core import StrEnum


class Preset(StrEnum):
    """Set of parameter values to start from."""

    ROBOT = 'robot'
    CPU = 'cpu'
    WORDS = 'words'
    DEMO = 'demo'
    STUB = 'stub'


class Precision(StrEnum):
    """Arithmetic of the networks."""

    AUTO = 'auto'
    FP32 = 'fp32'
    BF16 = 'bf16'
    FP16 = 'fp16'


class GpuOption(StrEnum):
    """Whether to do what saves time on a GPU; ``auto`` does it there only."""

    AUTO = 'auto'
    ALWAYS = 'always'
    NEVER = 'never'


class TfPolicy(StrEnum):
    """Time at which transforms are looked up."""

    STAMP = 'stamp'
    LATEST = 'latest'

    def lookup_stamp_ns(self, stamp_ns: int) -> int | None:
        """Return the time to look up for an image of ``stamp_ns``, None for the latest."""
        return stamp_ns if self is TfPolicy.STAMP else None


# Parts of the names of topics with rectified images.
_RECTIFIED = frozenset({'rect', 'rectified', 'undistorted'})


class Rectification(StrEnum):
    """Whether images are rectified."""

    AUTO = 'auto'
    ALWAYS = 'always'
    NEVER = 'never'

    def applies_to(self, topic: str) -> bool:
        """Return whether the images of ``topic`` are rectified; auto goes by the topic's name.

        >>> Rectification.AUTO.applies_to('/camera/image_rect_color')
        True
        >>> Rectification.AUTO.applies_to('/camera/rectified/image')
        True
        >>> Rectification.AUTO.applies_to('/direct/image')
        False
        """
        if self is Rectification.AUTO:
            return not _RECTIFIED.isdisjoint(re.split('[/_]', topic.lower()))
        return self is Rectification.ALWAYS


class CameraAxes(StrEnum):
    """Axes of the frame that images are stamped with (REP 103).

    ``optical`` has z forward, x right and y down, ``body`` has x forward, y left and z up.
    ``auto`` assumes ``optical``, and warns where transforms indicate ``body``.
    """

    AUTO = 'auto'
    OPTICAL = 'optical'
    BODY = 'body'


class Transport(StrEnum):
    """Form in which images are received."""

    AUTO = 'auto'
    RAW = 'raw'
    COMPRESSED = 'compressed'

    @property
    def accepts_raw(self) -> bool:
        """Whether Image messages are subscribed to."""
        return self is not Transport.COMPRESSED

    @property
    def accepts_compressed(self) -> bool:
        """Whether CompressedImage messages are subscribed to."""
        return self is not Transport.RAW


class Reliability(StrEnum):
    """Reliability of the subscriptions; auto follows the publishers."""

    AUTO = 'auto'
    RELIABLE = 'reliable'
    BEST_EFFORT = 'best_effort'
