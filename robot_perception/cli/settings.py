"""Command-line flags that several commands have, above all those for parameters."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
import logging
import sys

from robot_perception import models
from robot_perception.cli.preset_choice import are_demo_world, choose_config
from robot_perception.cli.text import counted
from robot_perception.core import ConfigError, Stage
from robot_perception.models import RUNTIME_CHOICES
from robot_perception.pipeline import (
    license_notes,
    PerceptionConfig,
    PerceptionPipeline,
    PRESETS,
    Value,
)

_LOG = logging.getLogger(__name__)
_PRECISIONS = ('fp32', 'bf16', 'fp16')


def add_settings(parser: argparse.ArgumentParser, *, preset: str | None = None) -> None:
    """Add the flags --preset, --config, --prompt, --device and --set to a parser.

    Without a default preset `read_settings` chooses one.
    """
    group = parser.add_argument_group('parameters')
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        '--preset',
        choices=tuple(PRESETS),
        default=preset,
        help='set of default parameters (default: '
        + (preset or 'the best whose networks are here; demo for recordings of the demo world')
        + ')',
    )
    choice.add_argument(
        '--config', metavar='FILE', help='ROS parameter file to use instead of a preset'
    )
    group.add_argument(
        '--prompt',
        metavar='WORDS',
        action='append',
        default=[],
        help='detect this, such as "red cup", with a detector that takes prompts; may be repeated',
    )
    group.add_argument('--device', help='device that runs the networks: auto, cpu, cuda or cuda:N')
    group.add_argument(
        '--set',
        metavar='NAME=VALUE',
        action='append',
        default=[],
        help='set a parameter, such as detector.threshold=0.7; may be repeated',
    )


def add_backends(parser: argparse.ArgumentParser, precisions: Sequence[str] = ()) -> None:
    """Add the flags --runtime and --precision to a parser that compares backends.

    Without default precisions all of a runtime are meant.
    """
    parser.add_argument(
        '--runtime',
        nargs='+',
        choices=[one for one in RUNTIME_CHOICES if one != 'auto'],
        default=[],
        help='runtimes, in those of the precisions that they have (default: all that are '
        'installed)',
    )
    parser.add_argument(
        '--precision',
        nargs='+',
        choices=_PRECISIONS,
        default=list(precisions),
        help=f'precisions (default: {" ".join(precisions) or "all of a runtime"})',
    )


def read_settings(arguments: argparse.Namespace, inputs: Sequence[str] = ()) -> PerceptionConfig:
    """Build the configuration; without a preset it depends on the inputs.

    Raises:
        ConfigError: a parameter is unknown, or its value is invalid.
        WeightsMissingError: no preset is given, and none for these inputs is on this machine.
    """
    overrides = _overrides(arguments)
    if arguments.config is not None:
        return PerceptionConfig.from_file(arguments.config, overrides)
    if arguments.preset is None:
        return choose_config(overrides, inputs)
    return PerceptionConfig.from_preset(arguments.preset, overrides)


def check_settings(arguments: argparse.Namespace) -> None:
    """Raise ConfigError for flags that are wrong whatever the inputs are."""
    if arguments.config is None and arguments.preset is None:
        PerceptionConfig().with_values(_overrides(arguments))
    else:
        read_settings(arguments)


def check_count(flag: str, count: int) -> None:
    """Raise ConfigError for a number below 1."""
    if count < 1:
        raise ConfigError('out_of_range', f'{flag}: expected at least 1, got {count}.')


def log_caveat(config: PerceptionConfig, inputs: Sequence[str], *, answers: bool = False) -> None:
    """Log what limits the networks of a configuration for these inputs, and their use.

    Args:
        config: of the pipeline that loads them.
        inputs: as the user gave them.
        answers: whether the network for questions may be loaded too.
    """
    _log_notes(license_notes(config, answers=answers))
    if config.caveat and not are_demo_world(inputs):
        _LOG.warning('note: %s', config.caveat)


def log_licenses(*names: str) -> None:
    """Log which of these models have licenses that exclude or may exclude commercial use."""
    _log_notes(models.license_notes(names))


def _log_notes(notes: Iterable[str]) -> None:
    for note in notes:
        _LOG.warning('note: %s', note)


def load_pipeline(config: PerceptionConfig, inputs: Sequence[str]) -> PerceptionPipeline:
    """Load the networks for inputs, with a line on a terminal, and log what limits them."""
    count = sum(config.stage(stage).enabled for stage in Stage)
    level = logging.INFO if sys.stderr.isatty() else logging.DEBUG
    _LOG.log(level, 'loading %s on %s ...', counted(count, 'network'), config.device)
    pipeline = PerceptionPipeline.load(config)
    log_caveat(config, inputs)
    return pipeline


def _overrides(arguments: argparse.Namespace) -> dict[str, Value]:
    overrides = dict(_assignment(text) for text in arguments.set)
    if arguments.device is not None:
        overrides['device'] = arguments.device
    if arguments.prompt:
        overrides['detector.prompts'] = ', '.join(arguments.prompt)
    return overrides


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
