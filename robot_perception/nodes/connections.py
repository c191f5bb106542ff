"""Detect publishers and subscribers that cannot connect to a node, and suggest a remedy."""

from __future__ import annotations

from collections.abc import Iterator

from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo

_TRANSFORMS = 'tf2_msgs/msg/TFMessage'
# The graph knows an endpoint before the name of its node has arrived.
_UNNAMED = '_NODE_NAME_UNKNOWN_'
_TRANSPORTS = {'sensor_msgs/msg/Image': 'raw', 'sensor_msgs/msg/CompressedImage': 'compressed'}


def subscription_problems(node: Node, topic: str, type_name: str) -> Iterator[str]:
    """Yield a message for each publisher that cannot connect to the node's subscription."""
    ours = _find_endpoint(node, node.get_subscriptions_info_by_topic(topic))
    for peer in node.get_publishers_info_by_topic(topic):
        if peer.topic_type != type_name:
            yield _type_problem(topic, type_name, peer)
        elif ours is not None and (policy := _conflict(peer.qos_profile, ours.qos_profile)):
            yield _qos_problem(topic, 'subscription', policy, ours, peer)


def publisher_problems(node: Node, topic: str) -> Iterator[str]:
    """Yield a message for each subscriber that cannot connect to the node's publisher."""
    ours = _find_endpoint(node, node.get_publishers_info_by_topic(topic))
    for peer in node.get_subscriptions_info_by_topic(topic):
        if ours is not None and (policy := _conflict(ours.qos_profile, peer.qos_profile)):
            yield _qos_problem(topic, 'publisher', policy, ours, peer)


def _find_endpoint(node: Node, endpoints: list[TopicEndpointInfo]) -> TopicEndpointInfo | None:
    """Return the node's own endpoint as the graph reports it, with its effective QoS."""
    name = (node.get_name(), node.get_namespace())
    return next((end for end in endpoints if (end.node_name, end.node_namespace) == name), None)


def _conflict(offered: QoSProfile, requested: QoSProfile) -> str:
    """Return the name of a QoS policy that is incompatible, empty if all are compatible."""
    compatibility, reasons = qos_check_compatible(offered, requested)
    if compatibility != QoSCompatibility.ERROR:
        return ''
    errors = ' '.join(part for part in reasons.split(';') if 'ERROR' in part).lower()
    # rclpy names the policy only in the text of its explanation.
    policies = {'reliable': 'reliability', 'volatile': 'durability', 'deadline': 'deadline'}
    return next((policy for word, policy in policies.items() if word in errors), 'liveliness')


def _type_problem(topic: str, type_name: str, peer: TopicEndpointInfo) -> str:
    remedy = f'Remap the input to a topic of type {type_name}.'
    if peer.topic_type in _TRANSPORTS and type_name in _TRANSPORTS:
        remedy = f'Set input.transport to {_TRANSPORTS[peer.topic_type]} and remap the topic.'
    return f'{topic}: expected {type_name}, {_name(peer)} sends {peer.topic_type}. {remedy}'


def _qos_problem(
    topic: str, role: str, policy: str, ours: TopicEndpointInfo, peer: TopicEndpointInfo
) -> str:
    remedy = f'Set qos_overrides.{topic}.{role}.{policy}'
    if role == 'subscription' and ours.topic_type != _TRANSFORMS:
        remedy = 'Set input.reliability to auto'
    return (
        f'{topic}: the {role} of this node is {_describe(ours.qos_profile)}, '
        f'{_name(peer)} is {_describe(peer.qos_profile)}; they cannot connect. '
        f'{remedy}, or change the other side.'
    )


def _name(peer: TopicEndpointInfo) -> str:
    return 'an unnamed node' if peer.node_name == _UNNAMED else f'node {peer.node_name}'


def _describe(profile: QoSProfile) -> str:
    return f'{profile.reliability.name.lower()} and {profile.durability.name.lower()}'
