"""Ranges of seeds on the command line."""

from __future__ import annotations

import re

from robot_perception.core import ConfigError


def read_seeds(flag: str, text: str, example: str) -> range:
    """Read a half-open range such as ``0:12000``.

    Args:
        flag: for messages.
        text: first seed, colon, the seed after the last.
        example: for messages.

    Raises:
        ConfigError: it is no such range, or empty.

    """
    match = re.fullmatch(r'(\d{1,18}):(\d{1,18})', text)
    if match is None:
        raise ConfigError(f'{flag}: expected two seeds as A:B, such as {example}, got {text!r}.')
    seeds = range(int(match[1]), int(match[2]))
    if not seeds:
        raise ConfigError(
            f'{flag}: expected A below B, got {text}, which holds no scene. B itself is left out.'
        )
    return seeds
