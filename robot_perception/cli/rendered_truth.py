"""Rendered scenes of the demo world, which no network was trained on, with ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from robot_perception.cli.world import read_seeds
from robot_perception.core import ConfigError, InputError

if TYPE_CHECKING:
    from robot_perception.evaluation import GroundTruth
    from robot_perception.world import WorldFrame


def read_test_seeds(flag: str, text: str) -> range:
    """Return the seeds of A:B; raise ConfigError for seeds that networks were trained on."""
    seeds = read_seeds(flag, text, '900000:900200')
    from robot_perception.world import FIRST_TEST_SEED  # noqa: PLC0415 - for this verb

    if seeds.start < FIRST_TEST_SEED:
        raise ConfigError(
            'training_seeds',
            f'{flag}: expected seeds from {FIRST_TEST_SEED} on, got {text}. Scenes below that '
            'were used for training, so metrics on them would be too good.',
        )
    return seeds


def render_scenes(seeds: range, size_hw: tuple[int, int]) -> Iterator[tuple[int, WorldFrame]]:
    """Render scenes lazily; raise ConfigError at once for an unsupported image size."""
    from robot_perception.world import render, world_camera  # noqa: PLC0415 - for this verb

    try:
        world_camera(size_hw)
    except InputError as error:
        raise ConfigError(error.reason, f'--size: {error}') from error
    return ((seed, render(seed, size_hw)) for seed in seeds)


def ground_truth(frame: WorldFrame, prompts: Sequence[str] = ()) -> GroundTruth:
    """Return the image and the ground truth of a scene, or that of prompts if there are some."""
    from robot_perception.evaluation import GroundTruth  # noqa: PLC0415 - loads scipy

    truth = GroundTruth(
        image=frame.image,
        camera=frame.camera,
        depth=frame.depth,
        detections=frame.detections,
        masks=frame.masks(),
        objects=frame.objects(),
        scene_type=frame.scene_type,
        up=frame.up,
    )
    if not prompts:
        return truth
    from robot_perception.cli.asked_truth import select_asked  # noqa: PLC0415 - as above

    return select_asked(truth, frame.colors, prompts, unclear=True)
