"""Reading of ROS parameter files without ROS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from robot_perception.core import ConfigError

CAMERAS = 'cameras'
"""Parameter of the node: names of its cameras."""
# Last part of node names in a parameter file that match this node; ** matches any.
_NODE_NAMES = ('perception', '**', '*')


def read_parameter_file(path: Path) -> dict[str, object]:
    """Read the values of a ROS parameter file for this node: dotted name -> value.

    Raises:
        ConfigError: the file is missing or is not such a file.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(
            'missing_file', f'{path}: cannot be read ({error.strerror}). Name a YAML file.'
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError('not_yaml', f'{path}: not YAML: {error}') from None
    sections = _parameter_sections(document)
    if not sections:
        raise ConfigError(
            'not_a_parameter_file',
            f'{path}: expected a ROS parameter file with ros__parameters under a node name, '
            'for example "/**: {ros__parameters: {device: cpu}}".',
        )
    values: dict[str, object] = {}
    for section in sections:
        values.update(_flatten(section))
    # Parameters that every ROS node has, and the cameras of the node, are not part of it.
    return {
        name: value
        for name, value in values.items()
        if name not in {'use_sim_time', CAMERAS} and not name.startswith('qos_overrides.')
    }


def _parameter_sections(document: object, name: str = '/**') -> list[Mapping[str, Any]]:
    """Find the ``ros__parameters`` of this node at any depth of namespaces."""
    if not isinstance(document, Mapping):
        return []
    found: list[Mapping[str, Any]] = []
    for key, value in document.items():
        if key != 'ros__parameters':
            found.extend(_parameter_sections(value, str(key)))
        elif isinstance(value, Mapping) and name.rsplit('/', 1)[-1] in _NODE_NAMES:
            found.append(value)
    return found


def _flatten(section: Mapping[str, Any], prefix: str = '') -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in section.items():
        if isinstance(value, Mapping):
            values.update(_flatten(value, f'{prefix}{name}.'))
        else:
            values[f'{prefix}{name}'] = value
    return values
