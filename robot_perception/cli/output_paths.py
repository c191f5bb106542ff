"""Checks of where a verb writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from robot_perception.core import ConfigError


def check_apart(output: Path, inputs: Iterable[str | Path | None]) -> None:
    """Raise ConfigError if an output is a bag, or one of the inputs, or inside of one."""
    if (output / 'metadata.yaml').exists():
        raise ConfigError(
            'overlapping_paths',
            f'--output: expected a folder for results, got the bag {output}. Name another folder.',
        )
    target = output.resolve()
    for spec in inputs:
        if spec is None or not str(spec):
            continue
        source = Path(spec).expanduser()
        if source.is_dir() and target.is_relative_to(source.resolve()):
            raise ConfigError(
                'overlapping_paths',
                f'--output: expected a folder apart from the inputs, got {output}, which is in '
                f'the input {source}. Name another folder.',
            )
