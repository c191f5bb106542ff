"""Declaration of configurations as ROS parameters, and changes of them."""

from __future__ import annotations

from collections.abc import Iterable
import re
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
from robot_perception.pipeline import CAMERAS, Parameter, PerceptionConfig, Section, Value

# Parameters that ROS itself gives a node.
_OF_ROS = ('qos_overrides.', 'start_type_description_service', 'use_sim_time')
_CAMERA_NAME = re.compile(r'[A-Za-z](_?[A-Za-z0-9])*')
ONE_CAMERA = ('',)
"""Names of the cameras of a node that has a single one."""


def declare_config(node: Node) -> PerceptionConfig:
    """Declare every parameter of the perception node and return the values that are set.

    The values of the preset, which may depend on whether there are prompts, are the defaults of
    the other parameters.

    Raises:
        ConfigError: an invalid value.
    """
    given = _overrides(node)
    preset = given.get('preset', PerceptionConfig().preset)
    prompts = {name: given[name] for name in ('detector.prompts',) if name in given}
    config = PerceptionConfig.from_preset(str(preset), prompts)
    config = config.with_values(declare(node, config.parameters()))
    warn_of_unknown_parameters(node, config)
    return config


def declare_cameras(node: Node) -> tuple[str, ...]:
    """Declare the parameter ``cameras`` and return the names of the cameras.

    Raises:
        ConfigError: no list of different names.
    """
    given = _overrides(node).get(CAMERAS) or ONE_CAMERA
    names = tuple(given) if isinstance(given, list | tuple) else (given,)
    valid = all(isinstance(one, str) and _CAMERA_NAME.fullmatch(one) for one in names)
    if names != ONE_CAMERA and not (valid and len(set(names)) == len(names)):
        raise ConfigError(
            'camera_names',
            f'{CAMERAS}: expected different names of letters, digits and single underscores that '
            f'begin with a letter, such as [front, left], got {given!r}.',
        )
    node.declare_parameter(
        CAMERAS,
        list(names),
        ParameterDescriptor(
            name=CAMERAS,
            description='Names of the cameras: front reads front/image and publishes '
            '~/front/scene. An empty name = one camera, whose topics have no such part.',
            read_only=True,
        ),
        ignore_override=True,
    )
    return names


def declare(
    node: Node, items: Iterable[Parameter], *, read_only: bool = False
) -> dict[str, Value]:
    """Declare parameters on ``node`` and return their values: name -> value.

    An integer is taken for a float, here and whenever a parameter is set.

    Args:
        node: the node.
        items: name, type, default and constraint of each.
        read_only: whether they are fixed from now on; a startup parameter always is.

    Raises:
        ConfigError: a value of another type or outside the range.
    """
    items = list(items)
    _convert_integers(node, {item.name for item in items if item.kind is float})
    given = _overrides(node)
    values: dict[str, Value] = {}
    for item in items:
        value = given.get(item.name, item.default)
        # rclpy would check it too, but by other rules than parameter files without ROS.
        values[item.name] = item.constraint.check(item.name, value, item.kind)
        node.declare_parameter(
            item.name,
            values[item.name],
            _descriptor(item, read_only=read_only),
            ignore_override=True,
        )
    return values


def warn_of_unknown_parameters(node: Node, config: Section) -> None:
    """Log the parameters that were given to ``node`` and that it does not have."""
    others = (*_OF_ROS, CAMERAS)
    names = [name for name in _overrides(node) if not name.startswith(others)]
    ignored = config.describe_ignored(names)
    if ignored:
        node.get_logger().warning(ignored)


def _overrides(node: Node) -> dict[str, Any]:
    # rclpy has no public name for them.
    given = node._parameter_overrides  # noqa: SLF001
    return {name: item.value for name, item in given.items()}


def _convert_integers(node: Node, names: set[str]) -> None:
    """Let integers be set for floats, which rclpy refuses."""

    def convert(parameters: list[RosParameter[Any]]) -> list[RosParameter[Any]]:
        return [
            RosParameter(item.name, value=float(item.value))
            if item.name in names and item.type_ is RosParameter.Type.INTEGER
            else item
            for item in parameters
        ]

    # Humble has no such callback.
    if names and hasattr(node, 'add_pre_set_parameters_callback'):
        node.add_pre_set_parameters_callback(convert)


def _descriptor(item: Parameter, *, read_only: bool) -> ParameterDescriptor:
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
    return descriptor


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
