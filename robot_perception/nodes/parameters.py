"""Declaration of configurations as ROS parameters, and changes of them."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from robot_perception.core import ConfigError
from robot_perception.pipeline import Parameter, PerceptionConfig


def declare_config(node: Node) -> PerceptionConfig:
    """Declare every parameter of the perception node and return the values that are set.

    The preset is declared first; its values are the defaults of the others.

    Raises:
        ConfigError: an invalid value.

    """
    preset, *_ = PerceptionConfig().parameters()
    config = PerceptionConfig.from_preset(str(declare(node, preset)))
    _, *others = config.parameters()
    return config.with_values({item.name: declare(node, item) for item in others})


def declare(node: Node, item: Parameter, *, read_only: bool = False) -> object:
    """Declare a parameter on ``node`` and return its value.

    Args:
        node: the node.
        item: name, type, default and constraint.
        read_only: whether it is fixed from now on; a startup parameter always is.

    Raises:
        ConfigError: a value of another type or outside the range.

    """
    constraint = item.constraint
    unit = f' [{constraint.unit}]' if constraint.unit else ''
    descriptor = ParameterDescriptor(
        name=item.name,
        description=f'{constraint.description}{unit}',
        additional_constraints=constraint.range_text(),
        read_only=read_only or constraint.startup,
    )
    if constraint.limits is not None:
        low, high = constraint.limits
        if item.kind is int:
            descriptor.integer_range = [
                IntegerRange(from_value=int(low), to_value=int(high), step=1)
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=low, to_value=high, step=0.0)
            ]
    try:
        return node.declare_parameter(item.name, item.default, descriptor).value
    except InvalidParameterValueException as error:
        raise ConfigError(
            'out_of_range', f'{item.name}: expected {constraint.range_text()}. {error}'
        ) from error
    except Exception as error:
        # rclpy raises several unrelated types for a wrong type; their messages name the problem.
        raise ConfigError('wrong_type', f'{item.name}: {error}') from error


def changed_config(
    config: PerceptionConfig, parameters: list[RosParameter[Any]]
) -> tuple[SetParametersResult, PerceptionConfig]:
    """Validate a change of parameters before it is applied.

    Returns:
        The result, with a reason if the change is rejected, and the configuration that is in
        force afterwards.

    """
    known = {item.name for item in config.parameters()}
    values = {item.name: item.value for item in parameters if item.name in known}
    try:
        return SetParametersResult(successful=True), config.with_values(values)
    except ConfigError as error:
        return SetParametersResult(successful=False, reason=str(error)), config
