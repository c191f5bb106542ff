"""Choice of the networks when no preset is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
import logging

from robot_perception.core import WeightsMissingError
from robot_perception.pipeline import (
    download_mb,
    missing_checkpoints,
    PerceptionConfig,
    Value,
)

_LOG = logging.getLogger(__name__)
# Of those for cameras, the most accurate first.
_FOR_CAMERAS = {'robot': 'best with a GPU', 'cpu': 'fast enough on a CPU'}
_FOR_PROMPTS = {'words': 'for a GPU'}
_DEMO = 'demo'


def choose_config(overrides: Mapping[str, Value], inputs: Sequence[str]) -> PerceptionConfig:
    """Return the configuration for inputs whose preset was not given, and log which it is.

    Recordings of the demo world are for the demo networks. All else is for the best preset whose
    networks are on this machine; prompts without a detector, for one whose detector takes them.

    Raises:
        ConfigError: an override is invalid.
        WeightsMissingError: no network for images of cameras is on this machine.
    """
    if are_demo_world(inputs):
        _announce('preset demo, because the input is a recording of the demo world')
        return PerceptionConfig.from_preset(_DEMO, overrides)
    sizes: dict[str, int] = {}
    has_prompts = bool(overrides.get('detector.prompts')) and 'detector.model' not in overrides
    presets = _FOR_PROMPTS if has_prompts else _FOR_CAMERAS
    for preset in presets:
        config = PerceptionConfig.from_preset(preset, overrides)
        missing = missing_checkpoints(config)
        if not missing:
            _announce(f'preset {preset}, the best of which all networks are here')
            return config
        for model, error in missing.items():
            if model in overrides.values():
                raise error
        sizes[preset] = download_mb(config, missing)
    offers = ' or '.join(
        f'"robot-perception models pull --preset {preset}" ({sizes[preset]} MB, {purpose})'
        for preset, purpose in reversed(presets.items())
    )
    what = 'a detector of prompts' if has_prompts else 'networks for images of cameras'
    raise WeightsMissingError(
        'no_networks',
        f'expected {what}, got none on this machine. Download them once: '
        f'{offers}. The small networks of --preset demo are here, but know only the demo world: '
        'on other images their results mean nothing.',
    )


def are_demo_world(inputs: Sequence[str]) -> bool:
    """Return whether there are inputs, and all of them are recordings of the demo world."""
    from robot_perception.world import is_demo_world  # noqa: PLC0415 - slow

    return bool(inputs) and all(map(is_demo_world, inputs))


@cache
def _announce(text: str) -> None:
    """Log a line, once in a run."""
    _LOG.info(text)
