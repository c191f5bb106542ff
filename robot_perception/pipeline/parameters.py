"""Parameters as fields of frozen dataclasses: each with its type, default, unit and range.

A nested section becomes a dotted name, ``detector.threshold``, as in a ROS parameter file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
import math
from typing import Any, get_type_hints, TypeVar

from robot_perception.core import ConfigError

Value = bool | int | float | str
Config = TypeVar('Config')

_KEY = 'parameter'
_TYPES: tuple[type, ...] = (bool, int, float, str)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a parameter means and what it may be.

    Attributes:
        description: one sentence for people.
        unit: unit of the value, empty for none.
        low, high: closed range of a number; every number has one.
        choices: allowed words, empty = any.
        live: may change while the node runs.
        startup: is looked at once, when the node starts. What is neither may change while no
            networks are loaded.

    """

    description: str
    unit: str = ''
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    startup: bool = False

    def check(self, name: str, value: Value, kind: type) -> Value:
        """Return ``value`` as ``kind``; an integer may stand for a float.

        Raises:
            ConfigError: another type, outside the range, or not among the choices.

        """
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ConfigError(
                f'{name}: expected {kind.__name__}, got {value!r} ({type(value).__name__}).'
            )
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._check_range(name, value)
        if self.choices and value not in self.choices:
            raise ConfigError(f'{name}: expected one of {list(self.choices)}, got {value!r}.')
        return value

    def _check_range(self, name: str, value: float) -> None:
        if self.low is None or self.high is None:
            return
        if not (math.isfinite(value) and self.low <= value <= self.high):
            raise ConfigError(f'{name}: expected {self.range_text()}, got {value!r}.')

    def range_text(self) -> str:
        """Allowed values in words, empty when anything goes."""
        unit = f' {self.unit}' if self.unit else ''
        if self.choices:
            return ', '.join(self.choices)
        if self.low is not None and self.high is not None:
            return f'{_plain(self.low)} to {_plain(self.high)}{unit}'
        return ''


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a configuration: its dotted name, type, default and constraint."""

    name: str
    kind: type
    default: Value
    constraint: Constraint


def parameter(default: Any, description: str, **constraint: Any) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Declare one field of a configuration; see `Constraint` for the keywords."""
    return field(default=default, metadata={_KEY: Constraint(description, **constraint)})


def check_fields(config: object) -> None:
    """Check every parameter of one section; call it from ``__post_init__``."""
    assert is_dataclass(config)  # noqa: S101 - a mistake of the programmer
    hints = get_type_hints(type(config))
    for item in fields(config):
        if _KEY in item.metadata:
            name = f'{_section_name(type(config))}{item.name}'
            value = item.metadata[_KEY].check(name, getattr(config, item.name), hints[item.name])
            object.__setattr__(config, item.name, value)


def _section_name(kind: type) -> str:
    prefix = getattr(kind, 'SECTION', '')
    return f'{prefix}.' if prefix else ''


def parameters_of(config: object) -> Iterator[Parameter]:
    """Yield every parameter in order of declaration, its current value as default."""
    assert is_dataclass(config)  # noqa: S101 - a mistake of the programmer
    hints = get_type_hints(type(config))
    for item in fields(config):
        value = getattr(config, item.name)
        if _KEY in item.metadata:
            name = f'{_section_name(type(config))}{item.name}'
            yield Parameter(name, hints[item.name], value, item.metadata[_KEY])
        else:
            yield from parameters_of(value)


def values_of(config: object) -> dict[str, Value]:
    """Flatten a configuration: dotted name -> value."""
    return {item.name: item.default for item in parameters_of(config)}


def with_values(config: Config, values: Mapping[str, object]) -> Config:
    """Replace parameters by dotted name.

    Raises:
        ConfigError: an unknown name, or a value that its parameter refuses.

    """
    known = values_of(config)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(
            f'Unknown parameter {unknown[0]!r}. Available: {", ".join(sorted(known))}.'
        )
    return _replaced(config, values)


def _replaced(config: Config, values: Mapping[str, object]) -> Config:
    prefix = _section_name(type(config))
    changes: dict[str, Any] = {}
    for item in fields(config):  # type: ignore[arg-type] # a dataclass, see the callers
        name = f'{prefix}{item.name}'
        if _KEY not in item.metadata:
            changes[item.name] = _replaced(getattr(config, item.name), values)
        elif name in values:
            changes[item.name] = values[name]
    return replace(config, **changes)  # type: ignore[type-var] # likewise
