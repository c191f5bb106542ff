"""What an observer of a ROS graph has found, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# A stamp further from the clock than this is of another clock.
FOREIGN_CLOCK_S = 10.0


@dataclass(frozen=True, slots=True)
class Publisher:
    """A publisher of a topic.

    Attributes:
        node: full name of its node.
        type_name: type of its messages.
        is_reliable: whether it is reliable, otherwise best effort.
        is_latched: whether it is transient local, otherwise volatile.
        can_connect: whether the reliability that the configuration asks for can receive it.
    """

    node: str
    type_name: str
    is_reliable: bool = True
    is_latched: bool = False
    can_connect: bool = True


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """An input of the node.

    Attributes:
        name: of the input: image, camera_info, depth or depth/camera_info.
        topic: full name of the topic.
        publishers: of the topic and, for images, of the compressed one beside it.
        stamps_ns: stamps of the messages in the order of arrival.
        arrivals_s: when they arrived, seconds of a steady clock.
        description: size, encoding and frame of the last message.
    """

    name: str
    topic: str
    publishers: tuple[Publisher, ...] = ()
    stamps_ns: tuple[int, ...] = ()
    arrivals_s: tuple[float, ...] = ()
    description: str = ''

    @property
    def rate_hz(self) -> float:
        """Messages per second, 0 for fewer than two."""
        if len(self.arrivals_s) <= 1:
            return 0.0
        seconds = self.arrivals_s[-1] - self.arrivals_s[0]
        return (len(self.arrivals_s) - 1) / seconds if seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class FrameProblem:
    """A problem of processed images.

    Attributes:
        part: image, calibration, depth or tf.
        reason: slug of the part of the package that found it.
        text: what is wrong and what to do.
        count: images that have it.
        is_usable: whether results are made in spite of it.
    """

    part: str
    reason: str
    text: str
    count: int
    is_usable: bool = False


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A perception node that runs.

    Attributes:
        name: full name.
        use_sim_time: None if its parameters could not be read.
        statuses: (name, level, message) of its last diagnostics; level 0 OK, 1 WARN, 2 ERROR,
            3 STALE.
    """

    name: str
    use_sim_time: bool | None = None
    statuses: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """A ROS graph, observed for some time.

    Attributes:
        seconds: time of observation.
        middleware: rmw implementation.
        environment: variables that decide which nodes find each other.
        fastdds: version of Fast DDS that is loaded, None without it.
        distribution: ROS_DISTRO, empty if it is not set.
        nodes: full names of the other nodes, one entry for each node.
        image_topics: topics of raw and compressed images.
        streams: the inputs that the configuration needs.
        camera: what is wrong with the arrival of the images, empty if nothing is.
        connections: publishers that cannot be received from, as sentences.
        frames: images that were processed.
        problems: their problems.
        calibration_doubts: calibrations that are lost, or contradict one another, as sentences.
        bad_transform: error of a transform that was received, empty without one.
        clock_publishers: nodes that publish /clock.
        clock_received: whether /clock has been received.
        age_s: median age of the images by the clock of this machine, None without images.
        sim_age_s: the same by /clock, None without it.
        running: the perception node, None if none runs.
    """

    seconds: float
    middleware: str
    environment: Mapping[str, str] = field(default_factory=dict)
    fastdds: tuple[int, int, int] | None = None
    distribution: str = ''
    nodes: tuple[str, ...] = ()
    image_topics: tuple[str, ...] = ()
    streams: tuple[StreamFacts, ...] = ()
    camera: str = ''
    connections: tuple[str, ...] = ()
    frames: int = 0
    problems: tuple[FrameProblem, ...] = ()
    calibration_doubts: tuple[str, ...] = ()
    bad_transform: str = ''
    clock_publishers: tuple[str, ...] = ()
    clock_received: bool = False
    age_s: float | None = None
    sim_age_s: float | None = None
    running: RunningNode | None = None
