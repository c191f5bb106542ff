"""Parameters as fields of frozen dataclasses: each with its type, default, unit and range.

A nested section becomes a dotted name, ``detector.threshold``, as in a ROS parameter file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, Field, field, fields, replace
from difflib import get_close_matches
from enum import Enum
from typing import Any, ClassVar, TYPE_CHECKING, TypeVar
import unicodedata

from robot_perception.core import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11 on

Value = bool | int | float | str
_Default = TypeVar('_Default')

_KEY = 'parameter'
# Of the unknown parameters of a file that other nodes share.
_LISTED = 10
# Names of frames are shorter, and so are nearly all paths.
_LONGEST_TEXT = 1024
# Control characters, halves of surrogate pairs, and separators of lines and paragraphs.
_CONTROL = ('Cc', 'Cs', 'Zl', 'Zp')


@dataclass(frozen=True, slots=True)
class Constraint:
    """Meaning and allowed values of a parameter.

    Attributes:
        description: one or more sentences for users.
        unit: unit of the value, empty for none.
        limits: closed range of a number; every number has one.
        choices: values of the enum that the parameter is, or the allowed texts; empty for others.
        live: may change while the node runs.
        startup: read once, when the node starts. A parameter that is neither live nor startup may
            change while no networks are loaded.
    """

    description: str
    unit: str = ''
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    startup: bool = False

    def check(self, name: str, value: Value, kind: type[Value]) -> Value:
        """Return ``value`` as ``kind``; an integer is accepted as a float, a string as an enum.

        Raises:
            ConfigError: another type, outside the range, or not among the choices.
        """
        if kind is float and type(value) is int:
            value = float(value)
        accepted = str if self.choices else kind
        if type(value) not in {accepted, kind}:
            raise ConfigError(
                'wrong_type',
                f'{name}: expected {accepted.__name__}, got {value!r} ({type(value).__name__}).',
            )
        if self.choices and value not in self.choices:
            raise ConfigError(
                'unknown_value', f'{name}: expected one of {list(self.choices)}, got {value!r}.'
            )
        checked = kind(value)
        if isinstance(checked, str):
            _check_text(name, checked)
        if isinstance(checked, int | float) and not self._is_within_limits(checked):
            raise ConfigError(
                'out_of_range', f'{name}: expected {self.range_text()}, got {checked!r}.'
            )
        return checked

    def _is_within_limits(self, value: float) -> bool:
        return self.limits is None or self.limits[0] <= value <= self.limits[1]

    def range_text(self) -> str:
        """Return the allowed values as text, empty if there is no limit."""
        unit = f' {self.unit}' if self.unit else ''
        if self.choices:
            return ', '.join(self.choices)
        if self.limits is not None:
            low, high = map(_plain, self.limits)
            return f'{low} to {high}{unit}'
        return ''


def _check_text(name: str, text: str) -> None:
    control = next((one for one in text if unicodedata.category(one) in _CONTROL), None)
    if control is not None or len(text) > _LONGEST_TEXT:
        got = f'{len(text)} of them' if control is None else f'the control character {control!r}'
        raise ConfigError(
            'bad_text',
            f'{name}: expected at most {_LONGEST_TEXT} printable characters, got {got}.',
        )


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a configuration; that of an enum has a string as type and default."""

    name: str
    kind: type[Value]
    default: Value
    constraint: Constraint


def parameter(
    default: _Default,
    description: str,
    **constraint: Any,  # noqa: ANN401 - as dataclasses.field
) -> _Default:
    """Declare one field of a configuration; see `Constraint` for the keywords.

    Its type is that of ``default``; the members of an enum become its choices.
    """
    if isinstance(default, Enum):
        constraint['choices'] = tuple(one.value for one in type(default))
    metadata = {_KEY: Constraint(description, **constraint)}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Section:
    """Base of configurations: frozen dataclasses of parameters and nested sections.

    ``class DepthConfig(Section, name='depth')`` names the section; without a name its parameters
    have no prefix.
    """

    __slots__ = ()
    _prefix: ClassVar[str] = ''

    def __init_subclass__(cls, *, name: str = '') -> None:
        """Keep the name; dataclasses with slots create the class a second time without it."""
        if name:
            cls._prefix = f'{name}.'

    def __post_init__(self) -> None:
        for item in fields(self):
            if _KEY in item.metadata:
                value = item.metadata[_KEY].check(
                    self._name(item), getattr(self, item.name), type(item.default)
                )
                object.__setattr__(self, item.name, value)

    def parameters(self) -> Iterator[Parameter]:
        """Yield every parameter in order of declaration, its current value as default."""
        for item in fields(self):
            value = getattr(self, item.name)
            if _KEY in item.metadata:
                plain = value.value if isinstance(value, Enum) else value
                yield Parameter(self._name(item), type(plain), plain, item.metadata[_KEY])
            else:
                yield from value.parameters()

    def to_values(self) -> dict[str, Value]:
        """Flatten into dotted name -> value."""
        return {item.name: item.default for item in self.parameters()}

    def with_values(self, values: Mapping[str, object]) -> Self:
        """Replace parameters by dotted name.

        Raises:
            ConfigError: an unknown name or an invalid value.
        """
        if not values:
            return self
        unknown = self._describe_unknown(values)
        if unknown:
            available = ', '.join(sorted(self.to_values()))
            raise ConfigError('unknown_parameter', f'{unknown}. Available: {available}.')
        return self._replaced(values)

    def describe_ignored(self, names: Iterable[str]) -> str:
        """Describe the names that are no parameters and are ignored; empty without one."""
        unknown = self._describe_unknown(names)
        if not unknown:
            return ''
        return f'{unknown}: ignored. Correct the name, or give it to the node that has it only.'

    def _describe_unknown(self, names: Iterable[str]) -> str:
        known = list(self.to_values())
        unknown = sorted(set(names) - set(known))
        if not unknown:
            return ''
        nearest = (get_close_matches(name, known, n=1) for name in unknown)
        listed = ', '.join(
            f'{name!r} (nearest: {found[0]})' if found else repr(name)
            for name, found in zip(unknown[:_LISTED], nearest, strict=False)
        )
        more = f' and {len(unknown) - _LISTED} more' if len(unknown) > _LISTED else ''
        return f'Unknown parameter{"s" if len(unknown) > 1 else ""} {listed}{more}'

    def _replaced(self, values: Mapping[str, object]) -> Self:
        changes: dict[str, Any] = {}
        for item in fields(self):
            if _KEY not in item.metadata:
                section: Section = getattr(self, item.name)
                changes[item.name] = section._replaced(values)
            elif self._name(item) in values:
                changes[item.name] = values[self._name(item)]
        return replace(self, **changes)

    def _name(self, item: Field[Any]) -> str:
        return f'{self._prefix}{item.name}'
