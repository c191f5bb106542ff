"""Reading of the JSON files of calibrations, with errors that name what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import json
import math
from pathlib import Path
from typing import Any

from robot_perception.core import ConfigError

# A file with the calibrations of both parameters, each under the name of its own schema.
CALIBRATION_SCHEMA = 'robot_perception/calibration'
CALIBRATION_VERSION = 1
_REMEDY = 'Leave the parameter empty, or name a file with the keys of docs/uncertainty.md.'


def read_calibration(name: str, path: Path, schema: str) -> Mapping[str, Any]:
    """Return the calibration in the JSON file that the parameter ``name`` names.

    The file is of the schema, or of `CALIBRATION_SCHEMA` and has the calibration under its name.

    Raises:
        ConfigError: ``'missing_file'``, ``'damaged'``, ``'wrong_schema'`` or ``'missing_part'``.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(
            'missing_file',
            f'{name}: expected a readable file, got {path}: {error.strerror}. {_REMEDY}',
        ) from error
    except ValueError as error:
        raise ConfigError(
            'damaged', f'{name}: expected JSON in {path}, got: {error}. {_REMEDY}'
        ) from error
    if isinstance(content, dict) and content.get('schema') == CALIBRATION_SCHEMA:
        part = content.get(schema.rpartition('/')[2])
        if not isinstance(part, dict):
            raise ConfigError(
                'missing_part',
                f'{name}: expected {schema.rpartition("/")[2]} in {path}, got '
                f'{", ".join(sorted(content))}. Fit it: robot-perception evaluate '
                '--fit-calibration.',
            )
        content = {**part, 'schema': schema, 'version': content.get('version')}
    got = (content.get('schema'), content.get('version')) if isinstance(content, dict) else None
    if not isinstance(content, dict) or got != (schema, CALIBRATION_VERSION):
        raise ConfigError(
            'wrong_schema',
            f'{name}: expected schema {schema!r} of version {CALIBRATION_VERSION} in {path}, '
            f'got {got}. {_REMEDY}',
        )
    return content


def read_numbers(name: str, path: Path, values: object, keys: Iterable[str]) -> dict[str, float]:
    """Return the finite numbers under the keys of a mapping; raise ConfigError (``'damaged'``)."""
    wanted = tuple(keys)
    if not isinstance(values, dict) or not all(_is_number(values.get(key)) for key in wanted):
        raise ConfigError(
            'damaged',
            f'{name}: expected the numbers {", ".join(wanted)} in {path}, got {values!r}. '
            f'{_REMEDY}',
        )
    return {key: float(values[key]) for key in wanted}


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and math.isfinite(float(str(value)))
