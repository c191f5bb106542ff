"""Derive what is wrong from what was observed in a ROS graph. Plain data, without rclpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from shlex import quote

from robot_perception.core import NANOSECONDS_PER_SECOND
from robot_perception.nodes.doctor_causes import Cause
from robot_perception.nodes.doctor_facts import (
    FOREIGN_CLOCK_S,
    FrameProblem,
    GraphFacts,
    StreamFacts,
)
from robot_perception.nodes.doctor_fastdds import judge_fastdds
from robot_perception.sources import Role

_MIN_RECEIVED = 0.7
# Share of the images with a problem above which it is a cause; the first images of a camera come
# before its calibration and its transforms.
_MIN_SHARE, _MOST = 0.1, 0.9
_OK, _ERROR = 0, 2
_SILENT = {'no_publisher', 'no_messages', 'lost_images', 'connections', 'empty_graph'}
# Status of /diagnostics -> causes that state the same.
_EXPLAINED_BY = {
    'frames': {*_SILENT, 'image_rejected', 'camera'},
    'connections': {'connections', 'lost_images'},
    'calibration': {*_SILENT, 'calibration', 'calibration_doubtful'},
    'depth': {*_SILENT, 'depth', 'depth_doubtful', 'depth_gaps'},
    'tf': {'tf'},
    'clock': {
        *('sim_time_without_clock', 'foreign_clock', 'clock_unused'),
        *('stamps_zero', 'stamps_equal', 'stamps_disorder'),
    },
}
_LAUNCH = 'ros2 launch robot_perception perception.launch.py'


def judge_graph(facts: GraphFacts) -> tuple[Cause, ...]:
    """Return what is wrong in a graph."""
    if not facts.nodes:
        return (_empty_graph(facts),)
    causes = [cause for stream in facts.streams for cause in _judge_stream(stream, facts)]
    explained = {cause.subject for cause in causes if cause.reason == 'lost_images'}
    causes += [
        Cause('connections', text.partition(':')[0], text)
        for text in facts.connections
        if text.partition(':')[0] not in explained
    ]
    causes = [cause for cause in causes if not _follows(cause, causes, facts)]
    causes += [*_judge_clock(facts), *_judge_names(facts)]
    missing = {one.subject for one in causes if one.reason in {'no_publisher', 'no_messages'}}
    for problem in facts.problems:
        cause = _judge_problem(problem, facts)
        if cause is not None and not _is_explained(problem, facts, missing):
            causes.append(cause)
    # A calibration that never arrives is a topic without messages.
    causes += [
        Cause('calibration_doubtful', text.partition(':')[0], text, detail='publishers')
        for text in facts.calibration_doubts
        if text.partition(':')[0] not in missing
    ]
    if facts.bad_transform:
        causes.append(Cause('tf', '/tf', facts.bad_transform, detail='bad_transform'))
    causes += judge_fastdds(facts.fastdds, facts.distribution)
    causes += _judge_statuses(facts, {cause.reason for cause in causes})
    return tuple(causes)


def _follows(cause: Cause, causes: list[Cause], facts: GraphFacts) -> bool:
    """Return whether a cause is the consequence of another one."""
    topics = {stream.name: stream.topic for stream in facts.streams}
    if cause.reason == 'no_publisher' and cause.subject == topics.get('camera_info'):
        # It is looked for beside the images.
        return any(
            one.reason == 'no_publisher' and one.subject == topics.get('image') for one in causes
        )
    return cause.reason == 'no_messages' and any(
        one.reason == 'connections' and one.subject == cause.subject for one in causes
    )


def _empty_graph(facts: GraphFacts) -> Cause:
    variables = ', '.join(f'{name}={value}' for name, value in facts.environment.items())
    return Cause(
        'empty_graph',
        'ROS graph',
        f'no other node was found in {facts.seconds:g} s with {facts.middleware} and '
        f'{variables or "the default domain 0"}.',
        'Start the camera driver. If it runs, give this terminal and the driver the same '
        'ROS_DOMAIN_ID, RMW_IMPLEMENTATION, discovery range and discovery server.',
        "env | grep -E 'ROS_|RMW_|FASTDDS|FASTRTPS|CYCLONEDDS|ZENOH'",
    )


def _judge_stream(stream: StreamFacts, facts: GraphFacts) -> Iterator[Cause]:
    if not stream.publishers:
        yield _no_publisher(stream, facts)
        return
    nodes = sorted({one.node for one in stream.publishers})
    for type_name in sorted({one.type_name for one in stream.publishers}):
        same = sorted(one.node for one in stream.publishers if one.type_name == type_name)
        if len(same) > 1:
            yield Cause(
                'several_publishers',
                stream.topic,
                f'{len(same)} publishers of {type_name}: {", ".join(same)}. Their messages mix.',
                'Stop all but one, or remap them to different topics.',
                f'ros2 topic info -v {quote(stream.topic)}',
            )
    if not stream.stamps_ns:
        yield _no_messages(stream, facts, nodes)
        return
    calibrations = next((one for one in facts.streams if one.name == 'camera_info'), stream)
    received, sent = len(stream.stamps_ns), len(calibrations.stamps_ns)
    if (
        stream.name == 'image'
        # A driver sends a calibration with each image.
        and {one.node for one in calibrations.publishers} == set(nodes)
        and received < _MIN_RECEIVED * sent
        and _can_lose_images(stream, facts)
    ):
        yield _lost_images(stream, f'{received} arrived, with {sent} calibrations')
    # Of a calibration only the content counts, which holds for every image.
    if stream.name in {'image', 'depth'}:
        yield from _judge_stamps(stream)
    if stream.name == 'image' and facts.camera:
        yield Cause(
            'camera',
            stream.topic,
            f'{facts.camera}.',
            'The rates are measured here.',
            f'ros2 topic hz {quote(stream.topic)}',
        )


def _no_publisher(stream: StreamFacts, facts: GraphFacts) -> Cause:
    subject = f'{stream.topic} has no publisher; it is the input {stream.name!r}.'
    if stream.name != 'image':
        return Cause(
            'no_publisher',
            stream.topic,
            subject,
            f'Remap it to a topic of this list with {stream.name.replace("/", "_")}:=TOPIC.',
            'ros2 topic list -t | grep sensor_msgs/msg/'
            + ('CameraInfo' if 'camera_info' in stream.name else 'Image'),
        )
    if not facts.image_topics:
        return Cause(
            'no_publisher',
            stream.topic,
            f'{subject} No node publishes images.',
            'Start the camera driver, then look for its topic.',
            'ros2 topic list -t',
        )
    # Depth is an image too, and seldom the one that is meant.
    best = min(facts.image_topics, key=lambda name: ('depth' in name, len(name), name))
    return Cause(
        'no_publisher',
        stream.topic,
        f'{subject} Images are on {", ".join(facts.image_topics)}.',
        'Remap the input.',
        f'{_LAUNCH} image:={quote(best)}',
    )


def _no_messages(stream: StreamFacts, facts: GraphFacts, nodes: list[str]) -> Cause:
    names = ', '.join(nodes)
    if _can_lose_images(stream, facts):
        return _lost_images(stream, f'none arrived in {facts.seconds:g} s')
    return Cause(
        'no_messages',
        stream.topic,
        f'{names} publishes it, and nothing arrived in {facts.seconds:g} s.',
        'Look at the output of that node: it may be inactive, paused or without its device. If '
        'it sends less often, observe for longer with --seconds.',
        f'ros2 topic hz {quote(stream.topic)}',
    )


def _can_lose_images(stream: StreamFacts, facts: GraphFacts) -> bool:
    return 'fastrtps' in facts.middleware and all(
        one.type_name == Role.IMAGE.type_name and not one.is_reliable and one.can_connect
        for one in stream.publishers
    )


def _lost_images(stream: StreamFacts, evidence: str) -> Cause:
    names = ', '.join(sorted({one.node for one in stream.publishers}))
    return Cause(
        'lost_images',
        stream.topic,
        f'{names} publishes raw images best effort, and {evidence}. With 512 KiB of shared '
        'memory, the default of Fast DDS, pieces of larger images are lost.',
        'Start the camera driver, not this node, with the profile of this package; or let it '
        'publish reliably or compressed.',
        'export FASTDDS_DEFAULT_PROFILES_FILE=$(python3 -c "import robot_perception as p; '
        "print(p.__path__[0] + '/nodes/fastdds.xml')\")",
    )


def _judge_stamps(stream: StreamFacts) -> Iterator[Cause]:
    stamps = stream.stamps_ns
    count = len(stamps)
    zero = sum(stamp == 0 for stamp in stamps)
    remedy = 'Let the driver stamp each message with the time at which it was taken.'
    command = f'ros2 topic echo --field header.stamp {quote(stream.topic)}'
    if zero:
        text = f'{zero} of {count} messages have stamp 0, so that TF and depth cannot be matched.'
        yield Cause('stamps_zero', stream.topic, text, remedy, command)
    differences = [after - before for before, after in pairwise(stamps) if before and after]
    equal = sum(difference == 0 for difference in differences)
    if equal:
        text = f'{equal} of {count} messages have the stamp of the message before.'
        yield Cause('stamps_equal', stream.topic, text, remedy, command)
    back = [difference for difference in differences if difference < 0]
    if back:
        yield Cause(
            'stamps_disorder',
            stream.topic,
            f'{len(back)} of {count} messages are older than the message before, by up to '
            f'{-min(back) / NANOSECONDS_PER_SECOND:.3f} s.',
            'Let one node publish, in the order of the stamps. A bag that loops is no fault.',
            command,
        )


def _judge_clock(facts: GraphFacts) -> Iterator[Cause]:
    running = facts.running
    image = next((one.topic for one in facts.streams if one.name == 'image'), 'image')
    if running is not None and running.use_sim_time:
        if not facts.clock_received:
            yield Cause(
                'sim_time_without_clock',
                running.name,
                f'use_sim_time is true and no /clock was received in {facts.seconds:g} s.',
                'Play the recording with --clock or start the simulator, or unset use_sim_time.',
                f'ros2 param set {quote(running.name)} use_sim_time false',
            )
            return
        age_s, clock = facts.sim_age_s, '/clock'
    else:
        age_s, clock = facts.age_s, 'the clock of this machine'
        if running is not None and running.use_sim_time is False and facts.clock_received:
            yield Cause(
                'clock_unused',
                running.name,
                f'{", ".join(facts.clock_publishers) or "a node"} publishes /clock, and '
                'use_sim_time is false.',
                'Follow the simulator or the recording.',
                f'ros2 param set {quote(running.name)} use_sim_time true',
            )
        elif facts.clock_received and facts.sim_age_s is not None and running is None:
            age_s, clock = facts.sim_age_s, '/clock'
    if age_s is not None and abs(age_s) > FOREIGN_CLOCK_S:
        side = 'old by' if age_s > 0 else 'ahead of'
        yield Cause(
            'foreign_clock',
            image,
            f'images are {abs(age_s):.0f} s {side} {clock}.',
            'Play a recording with --clock and set use_sim_time. For a camera synchronize the '
            'clocks of the machines (chrony), or let its driver stamp with system time.',
            f'{_LAUNCH} use_sim_time:=true' if clock != '/clock' else '',
        )


def _judge_names(facts: GraphFacts) -> Iterator[Cause]:
    for name, count in sorted(Counter(facts.nodes).items()):
        if count > 1:
            yield Cause(
                'duplicate_node',
                name,
                f'{count} nodes have this name; services and parameters reach one of them.',
                'Stop all but one, or start each with a name or namespace of its own, such as '
                '--ros-args -r __ns:=/left.',
                'ros2 node list',
            )


def _judge_problem(problem: FrameProblem, facts: GraphFacts) -> Cause | None:
    share = problem.count / max(facts.frames, 1)
    if share < _MIN_SHARE:
        return None
    topics = {stream.name: stream.topic for stream in facts.streams}
    subject = {
        'image': topics.get('image', 'image'),
        'calibration': topics.get('camera_info', 'camera_info'),
        'depth': topics.get('depth', 'depth'),
        'tf': '/tf',
    }[problem.part]
    evidence = f'{problem.text} ({problem.count} of {facts.frames} images)'
    if problem.part == 'tf':
        return Cause('tf', subject, evidence, detail=problem.reason)
    if problem.is_usable:
        return Cause(f'{problem.part}_doubtful', subject, evidence, detail=problem.reason)
    if problem.part == 'depth' and share < _MOST:
        return Cause('depth_gaps', subject, evidence, detail=problem.reason)
    reason = 'image_rejected' if problem.part == 'image' else problem.part
    return Cause(reason, subject, evidence, detail=problem.reason)


def _is_explained(problem: FrameProblem, facts: GraphFacts, missing: set[str]) -> bool:
    """Return whether a problem follows from an input that is missing."""
    topics = {
        stream.topic
        for stream in facts.streams
        if problem.reason == f'no_{stream.name.replace("/", "_")}'
    }
    return bool(topics & missing)


def _judge_statuses(facts: GraphFacts, known: set[str]) -> Iterator[Cause]:
    """Yield what the running node reports and was not found otherwise."""
    if facts.running is None:
        return
    for name, level, message in facts.running.statuses:
        if level == _OK or known & _EXPLAINED_BY.get(name, set()):
            continue
        reason = 'node_error' if level == _ERROR else 'node_warning'
        command = f'ros2 topic echo /diagnostics --filter "\'{name}\' in str(m)"'
        yield Cause(reason, facts.running.name, f'{name}: {message}', '', command, detail=name)
