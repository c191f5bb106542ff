"""Command-line flags that several commands have, above all those for parameters."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from robot_perception.core import ConfigError
from robot_perception.pipeline import PerceptionConfig, PRESETS, Value


def add_output(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the flag --output, a folder."""
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        default=default,
        metavar='FOLDER',
        help='folder for the results (default: %(default)s)',
    )


def add_settings(parser: argparse.ArgumentParser, *, preset: str) -> None:
    """Add the flags --preset, --config, --device and --set to a parser."""
    group = parser.add_argument_group('parameters')
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        '--preset',
        choices=tuple(PRESETS),
        default=preset,
        help='set of default parameters (default: %(default)s)',
    )
    choice.add_argument(
        '--config', metavar='FILE', help='ROS parameter file to use instead of a preset'
    )
    group.add_argument('--device', help='device that runs the networks: auto, cpu, cuda or cuda:N')
    group.add_argument(
        '--set',
        metavar='NAME=VALUE',
        action='append',
        default=[],
        help='set a parameter, such as detector.threshold=0.7; may be repeated',
    )


def read_settings(arguments: argparse.Namespace) -> PerceptionConfig:
    """Build the configuration; raise ConfigError for an unknown parameter or a bad value."""
    overrides = dict(_assignment(text) for text in arguments.set)
    if arguments.device is not None:
        overrides['device'] = arguments.device
    if arguments.config is not None:
        return PerceptionConfig.from_file(arguments.config, overrides)
    return PerceptionConfig.from_preset(arguments.preset, overrides)


def print_caveat(config: PerceptionConfig) -> None:
    """Print what limits the networks of a configuration, if anything does."""
    if config.caveat:
        print(f'note: {config.caveat}', file=sys.stderr)


def _assignment(text: str) -> tuple[str, Value]:
    name, separator, value = text.partition('=')
    if not separator:
        raise ConfigError('wrong_format', f'--set: expected NAME=VALUE, got {text!r}.')
    if name == 'preset':
        raise ConfigError(
            'conflicting_flags',
            f'preset: expected --preset {value}, got --set preset={value}. --set changes single '
            'parameters after the preset has been loaded.',
        )
    kinds = {item.name: item.kind for item in PerceptionConfig().parameters()}
    kind = kinds.get(name, str)
    if kind is bool:
        words = {'true': True, 'false': False}
        if value.lower() not in words:
            raise ConfigError('wrong_type', f'{name}: expected true or false, got {value!r}.')
        return name, words[value.lower()]
    try:
        converted: Value = kind(value)
    except ValueError:
        raise ConfigError(
            'wrong_type', f'{name}: expected {kind.__name__}, got {value!r}.'
        ) from None
    return name, converted
