"""``robot-perception doctor``: names what stops or spoils results, with the command that helps."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.machine_check import examine_machine
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.ros_installation import missing_ros
from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.core import ConfigError
from robot_perception.nodes import Cause, Examination, exit_code, Severity, sort_causes
from robot_perception.pipeline import PerceptionConfig

_INPUTS = ('image', 'camera_info', 'depth', 'depth/camera_info')
_MIN_COLUMNS = 60
_MIN_SECONDS, _MAX_SECONDS = 1.0, 600.0
_EPILOG = """\
exit codes: 0 nothing wrong, 1 something stops results, 2 bad arguments, 3 warnings only

examples:
  robot-perception doctor
  robot-perception doctor --topic image:=/camera/color/image_raw --set frames.target_frame=map
  robot-perception doctor --preset cpu --seconds 30 --json
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'doctor',
        run,
        help='name what stops results on this machine and in the ROS graph, and what to do',
        description='Checks this machine and, if ROS is there, observes the graph without '
        'publishing. The parameters of a perception node that runs win over those given here.',
        epilog=_EPILOG,
    )
    parser.add_argument(
        '--topic',
        metavar='INPUT:=TOPIC',
        action='append',
        default=[],
        help=f'topic of an input ({", ".join(_INPUTS)}) as a ROS remapping; may be repeated; by '
        'default those of the node that runs, or else the names of the inputs',
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=10.0,
        help='how long the ROS graph is observed (default: %(default)g)',
    )
    add_json(parser)
    add_settings(parser, preset='robot')


def run(arguments: argparse.Namespace) -> int:
    """Check, print, and return the exit code."""
    check_json(arguments)
    topics = dict(_topic(text) for text in arguments.topic)
    if not _MIN_SECONDS <= arguments.seconds <= _MAX_SECONDS:
        raise ConfigError(
            'out_of_range',
            f'--seconds: expected {_MIN_SECONDS:g} to {_MAX_SECONDS:g}, '
            f'got {arguments.seconds:g}.',
        )
    config = read_settings(arguments)
    parts = {
        'machine': examine_machine(config),
        'ROS graph': _examine_graph(config, topics, arguments.seconds),
    }
    causes = sort_causes(cause for part in parts.values() for cause in part.causes)
    print_results(arguments, _to_dict(causes, parts), '\n'.join(_lines(causes, parts)))
    return exit_code(causes)


def _topic(text: str) -> tuple[str, str]:
    name, separator, topic = text.partition(':=')
    if not separator or not topic or name not in _INPUTS:
        raise ConfigError(
            'wrong_format',
            f'--topic: expected INPUT:=TOPIC with one of {", ".join(_INPUTS)}, got {text!r}.',
        )
    return name, topic


def _examine_graph(
    config: PerceptionConfig, topics: dict[str, str], seconds: float
) -> Examination:
    problem = missing_ros()
    if problem:
        return Examination(unchecked={'ROS graph': problem})
    try:
        from robot_perception.nodes import examine_graph  # noqa: PLC0415 - needs ROS

        return examine_graph(config, topics, seconds)
    except Exception as error:  # noqa: BLE001 - a broken installation is what is looked for
        return Examination(unchecked={'ROS graph': f'{type(error).__name__}: {error}'})


def _to_dict(causes: tuple[Cause, ...], parts: dict[str, Examination]) -> dict[str, object]:
    return {
        'causes': [cause.to_dict() for cause in causes],
        'unchecked': {
            name: why for part in parts.values() for name, why in part.unchecked.items()
        },
        'found': {title: dict(part.found) for title, part in parts.items()},
        'exit_code': exit_code(causes),
    }


def _lines(causes: tuple[Cause, ...], parts: dict[str, Examination]) -> list[str]:
    lines: list[str] = []
    for title, part in parts.items():
        lines += [title, *(_row(name, text) for name, text in part.found.items()), '']
    unchecked = [row for part in parts.values() for row in part.unchecked.items()]
    if unchecked:
        lines += ['not checked', *(_row(name, why) for name, why in unchecked), '']
    titles = {Severity.ERROR: 'stops results', Severity.WARNING: 'warnings'}
    count = {one: sum(cause.severity is one for cause in causes) for one in Severity}
    for number, cause in enumerate(causes, 1):
        if number in {1, count[Severity.ERROR] + 1}:
            lines += [f'{titles[cause.severity]}: {count[cause.severity]}', '']
        lines += [*_cause_lines(number, cause), '']
    if not causes:
        lines.append('nothing wrong was found')
    return lines


def _cause_lines(number: int, cause: Cause) -> list[str]:
    reason = f'{cause.reason} ({cause.detail})' if cause.detail else cause.reason
    text = _fill(f'{cause.evidence} {cause.remedy}'.strip(), ' ' * 4, ' ' * 4)
    # The command is not wrapped, so that it can be copied.
    command = [f'    $ {cause.command}'] if cause.command else []
    return [f'{number:2}. {cause.subject}: {reason}', text, *command]


def _row(name: str, text: str) -> str:
    return _fill(text, f'  {name:<24}', ' ' * 26)


def _fill(text: str, first: str, indent: str) -> str:
    width = max(shutil.get_terminal_size().columns, _MIN_COLUMNS)
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
