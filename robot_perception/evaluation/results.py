"""The file that keeps an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
import json
import os
from pathlib import Path
import platform

from robot_perception import __version__
from robot_perception.core import write_bytes
from robot_perception.evaluation.report import Report
from robot_perception.pipeline import PerceptionConfig
from robot_perception.viewer import JsonValue

SCHEMA = 'robot_perception/evaluation'
SCHEMA_VERSION = 2


def results_to_dict(
    report: Report,
    source: Mapping[str, JsonValue],
    config: PerceptionConfig | None,
    cases: Sequence[str],
) -> dict[str, JsonValue]:
    """Describe an evaluation in what JSON has, so that it can be done again and compared.

    Args:
        report: what was found.
        source: what was evaluated, such as {'world': {...}}; its keys stand beside the others.
        config: parameters of the pipeline, with the names of its models; None for predictions
            that came as a file.
        cases: names of the worst frames, worst first.

    """
    return {
        'schema': SCHEMA,
        'version': SCHEMA_VERSION,
        'package': __version__,
        **source,
        'config': None if config is None else config.to_values(),
        'machine': machine(),
        'worst': list(cases),
        **report.as_json(),
    }


def write_results(results: dict[str, JsonValue], path: Path) -> None:
    """Write `results_to_dict` as a UTF-8 JSON file.

    Raises:
        OutputError: the file cannot be written; no half-written file is left.

    """
    text = json.dumps(results, ensure_ascii=False, allow_nan=False, indent=2)
    write_bytes(path, (text + '\n').encode())


def machine() -> dict[str, JsonValue]:
    """Say what the times were measured on."""
    return {
        'architecture': platform.machine(),
        'system': platform.system(),
        'cpus': os.cpu_count(),
        'python': platform.python_version(),
        'torch': _version('torch'),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
