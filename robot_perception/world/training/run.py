"""Training of a demo model from a dataset to checkpoint folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from robot_perception.core import InputError, replacing_folder, Stage
from robot_perception.models import load_network, read_checkpoint, write_checkpoint
from robot_perception.world.training.batches import count_validation
from robot_perception.world.training.checkpoint_folders import check_new_checkpoints
from robot_perception.world.training.dataset import Dataset
from robot_perception.world.training.depth import DepthRecipe
from robot_perception.world.training.detector import DetectorRecipe
from robot_perception.world.training.segmenter import SegmenterRecipe
from robot_perception.world.training.trainer import Progress, Recipe, STATE, train, TrainedNetwork
from robot_perception.world.training.words import WordsRecipe

RECIPES: Mapping[str, type[Recipe]] = {
    'depth': DepthRecipe,
    'detector': DetectorRecipe,
    'segmenter': SegmenterRecipe,
    'words': WordsRecipe,
}
_CARD = """---
license: apache-2.0
---
# {name}: {purpose}

A small network of the real architecture, trained from {origin} on rendered scenes of the demo
world of robot_perception, and on nothing else: {steps} steps of {batch} scenes out of the seeds
{seeds.start} to {seeds.stop} (the last {validation} for validation). It knows seven kinds of
things on a table, a floor or a shelf. **On photographs what it returns means nothing.**
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
    """Train a recipe, or resume its training, and write the checkpoints.

    Args:
        task: ``'depth'`` (which trains the features too), ``'detector'``, ``'segmenter'`` or
            ``'words'`` (a detector that takes prompts).
        dataset: completely rendered, at least 10 scenes.
        folder: for the checkpoints and, during training, the training state.
        steps: count; the ``steps`` of a recipe are those of a training from scratch.
        start: folder with checkpoints of the same networks to start from, as written by an
            earlier training; None trains from scratch.
        bfloat16: train in mixed precision, 1.4 to 1.7 times as fast on CPUs with instructions
            for it (AVX512_BF16, AMX), slower on others.
        report_every: steps between reports; the state is written at each report.
        on_step: called with the count of additional steps; first with those of earlier calls.
        on_report: called at each report.

    Returns:
        The checkpoint folders.

    Raises:
        InputError: an unknown task, too few scenes, scenes that are not rendered, or a start
            with other layers.
        ModelError: ``start`` has no such checkpoint, or one that cannot be read.
        OutputError: a checkpoint exists, the folder cannot be written or has the state of
            another training.
    """
    if task not in RECIPES:
        raise InputError(
            'unknown_name', f'task: expected one of {", ".join(RECIPES)}, got {task!r}.'
        )
    if not count_validation(dataset) or not dataset.rendered.all():
        raise InputError(
            'incomplete',
            f'dataset: expected at least 10 scenes, all rendered, got {len(dataset)} of which '
            f'{int(dataset.rendered.sum())} are. Render more.',
        )
    check_new_checkpoints(task, folder)
    recipe = RECIPES[task]()
    fresh = recipe.export(recipe.build()['network'])
    origin = 'nothing' if start is None else 'the weights of an earlier training'
    network = train(
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
    written = []
    for trained in recipe.export(network):
        card = _CARD.format(
            name=trained.name,
            purpose=trained.purpose,
            origin=origin,
            steps=steps,
            batch=recipe.batch_size,
            seeds=dataset.seeds,
            validation=count_validation(dataset),
        )
        # Training uses another memory format.
        module = trained.network.to(memory_format=torch.contiguous_format)
        with replacing_folder(folder / trained.name) as part:
            write_checkpoint(module, part, trained.preprocessor, card, tokenizer=trained.tokenizer)
        written.append(folder / trained.name)
    (folder / STATE).unlink()
    return tuple(written)


def _weights(fresh: TrainedNetwork, task: Stage, start: Path) -> Mapping[str, torch.Tensor]:
    checkpoint = read_checkpoint(start / fresh.name, task)
    module = load_network(checkpoint)
    found: dict[str, torch.Tensor] = module.state_dict()
    there = {key: value.shape for key, value in found.items()}
    if there != {key: value.shape for key, value in fresh.network.state_dict().items()}:
        raise InputError(
            'wrong_layers',
            f'{checkpoint.folder}: expected a network of the same layers as the one to be '
            'trained, got another. Start from what this version has trained.',
        )
    return found
