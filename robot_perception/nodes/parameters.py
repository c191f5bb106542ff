"""Declares the configuration as ROS parameters, and takes it back."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from robot_perception.core import ConfigError
from robot_perception.pipeline import Parameter, PerceptionConfig


def declare_config(node: Node) -> PerceptionConfig:
    """Declare every parameter on ``node`` and read what the user gave.

    The preset is declared first; its values are the defaults of the others.

    Raises:
        ConfigError: a value that its parameter refuses.

    """
    preset, *_ = PerceptionConfig().parameters()
    config = PerceptionConfig.from_preset(str(_declare(node, preset)))
    _, *others = config.parameters()
    return config.with_values({item.name: _declare(node, item) for item in others})


def _declare(node: Node, item: Parameter) -> object:
    try:
        return node.declare_parameter(item.name, item.default, _descriptor(item)).value
    except Exception as error:
        # rclpy raises several unrelated types here; each says what was wrong with the value.
        raise ConfigError(f'{item.name}: {error}') from error


def _descriptor(item: Parameter) -> ParameterDescriptor:
    constraint = item.constraint
    unit = f' [{constraint.unit}]' if constraint.unit else ''
    descriptor = ParameterDescriptor(
        name=item.name,
        description=f'{constraint.description}{unit}',
        additional_constraints=constraint.range_text(),
        read_only=constraint.startup,
    )
    if constraint.low is not None and constraint.high is not None:
        if item.kind is int:
            descriptor.integer_range = [
                IntegerRange(from_value=int(constraint.low), to_value=int(constraint.high), step=1)
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=constraint.low, to_value=constraint.high, step=0.0)
            ]
    return descriptor


def changed_config(
    config: PerceptionConfig, parameters: list[RosParameter[Any]]
) -> tuple[SetParametersResult, PerceptionConfig]:
    """Check a change before it is applied.

    Returns:
        The answer for the caller, with a filled reason on refusal, and the configuration that
        is then in force.

    """
    known = {item.name for item in config.parameters()}
    values = {item.name: item.value for item in parameters if item.name in known}
    try:
        return SetParametersResult(successful=True), config.with_values(values)
    except ConfigError as error:
        return SetParametersResult(successful=False, reason=str(error)), config
