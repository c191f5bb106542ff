"""Detect publishers and subscribers that cannot connect to a node, and suggest a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.utilities import get_rmw_implementation_identifier

from robot_perception.sources import IMAGE_TYPES, Role

# The graph knows an endpoint before the name of its node has arrived.
_UNNAMED = '_NODE_NAME_UNKNOWN_'
_TRANSPORTS = dict(zip(IMAGE_TYPES, ('raw', 'compressed'), strict=True))
# Text in rclpy's explanation of a conflict -> policy; the more special first.
_POLICIES = {
    'reliable': 'reliability',
    'volatile': 'durability',
    'deadline': 'deadline',
    'lease': 'liveliness_lease_duration',
    'liveliness': 'liveliness',
}
# Endpoints of one process have an equal part of their global ids, in Fast DDS.
_PROCESS_ID_BYTES = 8
_PROFILE = Path(__file__).parent / 'fastdds.xml'
_SMALL_MEMORY = (
    'as a best-effort publisher it loses messages that are larger than its shared memory, 512 '
    f'KiB by default. Start it with FASTDDS_DEFAULT_PROFILES_FILE={_PROFILE}, let it publish '
    'reliably, or use compressed images.'
)


def subscription_problems(node: Node, topic: str, type_name: str) -> Iterator[str]:
    """Yield a message for each publisher that cannot connect to the node's subscription."""
    ours = _find_endpoints(node, node.get_subscriptions_info_by_topic(topic))
    for peer in node.get_publishers_info_by_topic(topic):
        if peer.topic_type != type_name:
            yield _type_problem(topic, type_name, peer)
            continue
        # A topic may have a second subscription, for publishers that the first does not match.
        conflicts = [_conflicts(peer.qos_profile, one.qos_profile) for one in ours]
        if conflicts and all(conflicts):
            yield _qos_problem(topic, 'subscription', conflicts[0], ours[0], peer)


def publisher_problems(node: Node, topic: str) -> Iterator[str]:
    """Yield a message for each subscriber that cannot connect to the node's publisher."""
    ours = _find_endpoints(node, node.get_publishers_info_by_topic(topic))
    for peer in node.get_subscriptions_info_by_topic(topic):
        for one in ours:
            if conflicts := _conflicts(one.qos_profile, peer.qos_profile):
                yield _qos_problem(topic, 'publisher', conflicts, one, peer)


def silent_publisher_problems(
    node: Node, topic: str, type_name: str, silent_s: float
) -> Iterator[str]:
    """Yield a message for each publisher whose images may all be lost by Fast DDS.

    Args:
        node: the subscribing node.
        topic: full name of the topic.
        type_name: type of the messages; only raw images are too large.
        silent_s: seconds since the publisher appeared, in which nothing has arrived.
    """
    ours = _find_endpoints(node, node.get_subscriptions_info_by_topic(topic))
    for peer in node.get_publishers_info_by_topic(topic):
        if peer.topic_type == type_name and _may_exceed_memory(peer, ours):
            yield (
                f'{topic}: nothing has arrived from {endpoint_name(peer)} in {silent_s:.0f} s. '
                f'Either it sends nothing, or all is lost on the way: {_SMALL_MEMORY}'
            )


def loss_problem(node: Node, topic: str, type_name: str, lost: int, total: int) -> str:
    """Return a message about the messages of a topic that were lost.

    Args:
        node: the subscribing node.
        topic: full name of the topic.
        type_name: type of the messages.
        lost: number of lost messages.
        total: number of messages, with those that have arrived.
    """
    ours = _find_endpoints(node, node.get_subscriptions_info_by_topic(topic))
    peers = [
        one for one in node.get_publishers_info_by_topic(topic) if one.topic_type == type_name
    ]
    names = ' and '.join(endpoint_name(one) for one in peers) or 'their publisher'
    if any(_may_exceed_memory(one, ours) for one in peers):
        remedy = f'Probably {_SMALL_MEMORY}'
    else:
        remedy = 'Lower its rate or the size of its messages'
        if any(one.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for one in peers):
            remedy += ', or let it publish reliably'
        remedy += '.'
    return f'{topic}: {lost} of the last {total} messages from {names} were lost. {remedy}'


def _may_exceed_memory(peer: TopicEndpointInfo, ours: list[TopicEndpointInfo]) -> bool:
    """Return whether a publisher may send messages that its shared memory cannot hold."""
    return (
        bool(ours)
        and peer.topic_type == Role.IMAGE.type_name
        and peer.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        and 'fastrtps' in get_rmw_implementation_identifier()
        and _process_id(peer) != _process_id(ours[0])
    )


def _process_id(endpoint: TopicEndpointInfo) -> bytes:
    return bytes(endpoint.endpoint_gid[:_PROCESS_ID_BYTES])


def _find_endpoints(node: Node, endpoints: list[TopicEndpointInfo]) -> list[TopicEndpointInfo]:
    """Return the node's own endpoints as the graph reports them, with their effective QoS."""
    name = (node.get_name(), node.get_namespace())
    return [end for end in endpoints if (end.node_name, end.node_namespace) == name]


def _conflicts(offered: QoSProfile, requested: QoSProfile) -> list[str]:
    """Return the names of the QoS policies that are incompatible."""
    compatibility, reasons = qos_check_compatible(offered, requested)
    if compatibility != QoSCompatibility.ERROR:
        return []
    # rclpy names a policy only in the text of its explanation.
    errors = [part.lower() for part in reasons.split(';') if 'ERROR' in part]
    return [
        next((policy for word, policy in _POLICIES.items() if word in error), error)
        for error in errors
    ]


def _type_problem(topic: str, type_name: str, peer: TopicEndpointInfo) -> str:
    remedy = f'Remap the input to a topic of type {type_name}.'
    if peer.topic_type in _TRANSPORTS and type_name in _TRANSPORTS:
        remedy = f'Set input.transport to {_TRANSPORTS[peer.topic_type]} and remap the topic.'
    return (
        f'{topic}: expected {type_name}, {endpoint_name(peer)} sends {peer.topic_type}. {remedy}'
    )


def _qos_problem(
    topic: str, role: str, conflicts: list[str], ours: TopicEndpointInfo, peer: TopicEndpointInfo
) -> str:
    if role == 'subscription' and ours.topic_type != Role.TF.type_name:
        remedy = 'Set input.reliability to auto'
    else:
        # The values that the other side has; they are read when the node starts.
        values = ' and '.join(
            f'qos_overrides.{topic}.{role}.{policy}:={_parameter(peer.qos_profile, policy)}'
            for policy in conflicts
        )
        remedy = f'Start this node with {values}'
    return (
        f'{topic}: the {role} of this node is {_describe(ours.qos_profile, conflicts)}, '
        f'{endpoint_name(peer)} is {_describe(peer.qos_profile, conflicts)}; they cannot connect. '
        f'{remedy}, or change the other side.'
    )


def endpoint_name(peer: TopicEndpointInfo) -> str:
    """Return the name of the node of an endpoint, for messages."""
    return 'an unnamed node' if peer.node_name == _UNNAMED else f'node {peer.node_name}'


def _describe(profile: QoSProfile, conflicts: list[str]) -> str:
    """Describe reliability and durability, and other policies that are incompatible."""
    others = [
        f'with {policy} {_parameter(profile, policy)}'
        for policy in conflicts
        if policy not in {'reliability', 'durability'}
    ]
    names = f'{profile.reliability.name.lower()} and {profile.durability.name.lower()}'
    return ' '.join([names, *others])


def _parameter(profile: QoSProfile, policy: str) -> str:
    """Return the value of a policy as a parameter has it; durations are in nanoseconds."""
    value = getattr(profile, policy)
    return str(value.nanoseconds) if isinstance(value, Duration) else str(value.name.lower())
