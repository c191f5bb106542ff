"""From rendered scenes to checkpoint folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
from pathlib import Path

import torch

from robot_perception.core import InputError, OutputError, replacing_folder, Stage
from robot_perception.models import load_network, read_checkpoint, write_checkpoint
from robot_perception.world.training.batches import count_watched
from robot_perception.world.training.dataset import Dataset
from robot_perception.world.training.depth import DepthRecipe
from robot_perception.world.training.detector import DetectorRecipe
from robot_perception.world.training.segmenter import SegmenterRecipe
from robot_perception.world.training.trainer import learn, Progress, Recipe, STATE, Trained

RECIPES: Mapping[str, type[Recipe]] = {
    'depth': DepthRecipe,
    'detector': DetectorRecipe,
    'segmenter': SegmenterRecipe,
}
_CARD = """---
license: apache-2.0
---
# {name}: {purpose}

A small network of the real architecture, trained from {begun} on rendered scenes of the demo
world of robot_perception, and on nothing else: {steps} steps of {batch} scenes out of the seeds
{seeds.start} to {seeds.stop} (the last {watched} only watched). It knows seven kinds of things on
a table, a floor or a shelf. **On photographs what it returns means nothing.**
"""


def train_demo_model(
    task: str,
    dataset: Dataset,
    folder: Path,
    *,
    steps: int,
    start: Path | None = None,
    bfloat16: bool = False,
    report_every: int = 200,
    on_step: Callable[[int], object] = lambda _: None,
    on_report: Callable[[Progress], object] = lambda _: None,
) -> tuple[Path, ...]:
    """Train one recipe, or go on with it, and write what it gives.

    Args:
        task: ``'depth'`` (which gives the features too), ``'detector'`` or ``'segmenter'``.
        dataset: completely rendered, at least 10 scenes.
        folder: for the checkpoints; while it is trained, for its state.
        steps: how many; the ``steps`` of a recipe are those of a training from nothing.
        start: folder with checkpoints of the same networks to begin with, such as an earlier
            training gave; from nothing when None.
        bfloat16: reckon in mixed precision, 1.4 to 1.7 times as fast where the CPU has
            instructions for it (AVX512_BF16, AMX), slower where it has not.
        report_every: steps between two reports, at which the state is written.
        on_step: called with the count of steps newly done, those done before included.
        on_report: called at each report.

    Returns:
        The checkpoint folders.

    Raises:
        InputError: no such task, too few scenes, some that are not rendered, or a start of other
            layers.
        ModelError: ``start`` has no such checkpoint, or one that cannot be read.
        OutputError: a checkpoint is there already, the folder cannot be written or holds the
            state of another training.

    """
    if task not in RECIPES:
        raise InputError(f'task: expected one of {", ".join(RECIPES)}, got {task!r}.')
    if not count_watched(dataset) or not dataset.rendered.all():
        raise InputError(
            f'dataset: expected at least 10 scenes, all rendered, got {len(dataset)} of which '
            f'{int(dataset.rendered.sum())} are. Render more.'
        )
    recipe = RECIPES[task]()
    fresh = recipe.trained(recipe.build()['network'])
    for trained in fresh:
        if os.path.lexists(folder / trained.name):
            raise OutputError(
                f'{folder / trained.name}: expected no checkpoint yet, found one. '
                'Choose another folder, or remove it.'
            )
    begun = 'nothing' if start is None else 'the weights of an earlier training'
    network = learn(
        recipe,
        dataset,
        folder,
        steps=steps,
        report_every=report_every,
        start=None if start is None else _weights(fresh[0], recipe.task, start),
        bfloat16=bfloat16,
        on_step=on_step,
        on_report=on_report,
    )
    written = tuple(
        _write(trained, folder, _card(trained, recipe, steps, dataset, begun))
        for trained in recipe.trained(network)
    )
    (folder / STATE).unlink()
    return written


def _weights(fresh: Trained, task: Stage, start: Path) -> Mapping[str, torch.Tensor]:
    checkpoint = read_checkpoint(start / fresh.name, task)
    module = load_network(checkpoint, device='cpu', precision='fp32').module
    found: dict[str, torch.Tensor] = module.state_dict()
    there = {key: value.shape for key, value in found.items()}
    if there != {key: value.shape for key, value in fresh.network.state_dict().items()}:
        raise InputError(
            f'{checkpoint.folder}: expected a network of the same layers as the one to be '
            'trained, got another. Start from what this version has trained.'
        )
    return found


def _card(trained: Trained, recipe: Recipe, steps: int, dataset: Dataset, begun: str) -> str:
    return _CARD.format(
        name=trained.name,
        purpose=trained.purpose,
        begun=begun,
        steps=steps,
        batch=recipe.batch_size,
        seeds=dataset.seeds,
        watched=count_watched(dataset),
    )


def _write(trained: Trained, folder: Path, card: str) -> Path:
    # Weights laid out for training are stored as any other.
    network = trained.network.to(memory_format=torch.contiguous_format)
    with replacing_folder(folder / trained.name) as part:
        write_checkpoint(network, part, trained.preprocessor, card)
    return folder / trained.name
