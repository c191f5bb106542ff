"""The training loop of all demo models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import copy
from dataclasses import dataclass
import math
from pathlib import Path
import pickle
from typing import Any, Protocol

import torch
from torch import nn

from robot_perception.core import make_folder, OutputError, replacing_file, Stage, write_error
from robot_perception.world.training.batches import Batch, training_batch, validation_batches
from robot_perception.world.training.dataset import Dataset
from robot_perception.world.training.muon import Muon

STATE = 'training.pt'
# The learning rate is constant for this fraction of the steps, then follows a cosine; a training
# from earlier weights has no constant phase.
_CONSTANT_FRACTION = 0.4
_MAX_GRADIENT_NORM = 1.0
# Time constant of the weight average, as a fraction of all steps: higher rates give worse weights.
_AVERAGE_FRACTION = 0.02


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network to ship.

    Attributes:
        name: of its folder.
        network: of transformers, in evaluation mode.
        preprocessor: configuration of its image preprocessor.
        purpose: its output in a few words, for the model card.
        tokenizer: of its text, None for a network of images alone.
    """

    name: str
    network: Any
    preprocessor: Mapping[str, Any]
    purpose: str
    tokenizer: Any | None = None


class Recipe(Protocol):
    """Architecture, loss and hyperparameters of one network.

    Attributes:
        task: of the network.
        steps: default count for a training from scratch.
        batch_size: scenes per step.
        learning_rate: highest, of AdamW.
        muon_rate: highest, of Muon (https://kellerjordan.github.io/posts/muon), which updates the
            matrices of linear layers; None for AdamW alone.
        weight_decay: of matrices; vectors have none.
    """

    task: Stage
    steps: int
    batch_size: int
    learning_rate: float
    muon_rate: float | None
    weight_decay: float

    def build(self) -> nn.ModuleDict:
        """Build the modules to train; the one called ``network`` is shipped."""

    def loss(self, modules: nn.ModuleDict, batch: Batch, done: float) -> torch.Tensor:
        """Compute the scalar loss after a fraction ``done`` in [0, 1) of all steps."""

    def measure(self, modules: nn.ModuleDict, batch: Batch) -> Mapping[str, torch.Tensor]:
        """Compute metrics of validation scenes, one value per scene or object."""

    def export(self, network: Any) -> tuple[TrainedNetwork, ...]:  # noqa: ANN401
        """Return the networks to ship, built from the module called ``network``."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a training.

    Attributes:
        step: completed steps.
        loss: mean since the last report.
        metrics: of the averaged weights, on the validation scenes.
    """

    step: int
    loss: float
    metrics: Mapping[str, float]


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    *,
    steps: int,
    report_every: int,
    start: Mapping[str, torch.Tensor] | None = None,
    bfloat16: bool = False,
    warm_up: int = 300,
    on_step: Callable[[int], object] = lambda _: None,
    on_report: Callable[[Progress], object] = lambda _: None,
) -> Any:  # noqa: ANN401 - transformers publishes no types
    """Train a recipe, or resume from the state that an interrupted call has left in ``folder``.

    The state is written at each report. Training is deterministic, interrupted or not, for equal
    steps, machine and count of threads. ``start`` has the initial weights of the module called
    ``network``; ``bfloat16`` computes losses in mixed precision; the learning rate rises during
    the first ``warm_up`` steps.

    Returns:
        The network with averaged weights.

    Raises:
        OutputError: the folder cannot be written, or has the state of another training.
    """
    torch.manual_seed(0)
    state = _create_state(recipe, start)
    completed = _resume(folder / STATE, steps, state)
    on_step(completed)
    modules = state.modules
    validation = validation_batches(dataset, recipe.batch_size)
    constant = _CONSTANT_FRACTION if start is None else 0.0
    losses: list[float] = []
    modules.train()
    for step in range(completed, steps):
        torch.manual_seed(step)
        for optimizer in state.optimizers.values():
            for group in optimizer.param_groups:
                group['lr'] = group['highest'] * rate_factor(step, steps, constant, warm_up)
        batch = training_batch(dataset, step, recipe.batch_size)
        with torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
            loss = recipe.loss(modules, batch, step / steps)
        modules.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(modules.parameters(), _MAX_GRADIENT_NORM)
        for optimizer in state.optimizers.values():
            optimizer.step()
        _update_average(state.average, modules, step, steps)
        losses.append(float(loss.detach()))
        on_step(1)
        if (step + 1) % report_every == 0 or step + 1 == steps:
            metrics = _measure(recipe, state.average, validation)
            _save(folder / STATE, steps, step + 1, state)
            on_report(Progress(step + 1, sum(losses) / len(losses), metrics))
            losses.clear()
    return state.average['network'].eval()


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Everything that changes during a training: modules, their average weights, optimizers."""

    modules: nn.ModuleDict
    average: nn.ModuleDict
    optimizers: Mapping[str, torch.optim.Optimizer]

    def parts(self) -> Mapping[str, Any]:
        """Return the objects with a ``state_dict``, by name."""
        return {'modules': self.modules, 'average': self.average, **self.optimizers}


def _create_state(recipe: Recipe, start: Mapping[str, torch.Tensor] | None) -> _State:
    modules = recipe.build()
    if start is not None:
        modules['network'].load_state_dict(start)
    average = copy.deepcopy(modules)
    for weight in average.parameters():
        weight.requires_grad = False
    return _State(modules, average, _optimizers(recipe, modules))


def _optimizers(recipe: Recipe, modules: nn.ModuleDict) -> Mapping[str, torch.optim.Optimizer]:
    """Create Muon for the matrices of linear layers if the recipe uses it, AdamW for the rest."""
    linear = []
    if recipe.muon_rate is not None:
        layers = modules['network'].modules()
        linear = [layer.weight for layer in layers if isinstance(layer, nn.Linear)]
    taken = {id(weight) for weight in linear}
    rest = [weight for weight in modules.parameters() if id(weight) not in taken]
    matrices = [weight for weight in rest if weight.ndim > 1]
    vectors = [weight for weight in rest if weight.ndim <= 1]
    groups = [
        {'params': matrices, 'weight_decay': recipe.weight_decay},
        {'params': vectors, 'weight_decay': 0.0},
    ]
    optimizers: dict[str, torch.optim.Optimizer] = {
        'adamw': torch.optim.AdamW(groups, lr=recipe.learning_rate)
    }
    if recipe.muon_rate is not None:
        optimizers['muon'] = Muon(linear, recipe.muon_rate, recipe.weight_decay)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group['highest'] = group['lr']
    return optimizers


def rate_factor(step: int, steps: int, constant: float, warm_up: int) -> float:
    """Compute the factor on the highest learning rate for a step, from 0, of all steps.

    It rises over ``warm_up`` steps and is constant for a fraction of all, before the cosine.
    """
    falling = max(0.0, step / steps - constant)
    cosine = math.cos(math.pi * falling / (1 - constant))
    return (1 + cosine) / 2 * min(1.0, (step + 1) / warm_up)


def _update_average(average: nn.ModuleDict, modules: nn.ModuleDict, step: int, steps: int) -> None:
    """Update the exponential average of the weights; its time constant grows at the start."""
    decay = min(1 - 1 / max(1, _AVERAGE_FRACTION * steps), (step + 1) / (step + 10))
    with torch.no_grad():
        means, weights = average.state_dict().values(), modules.state_dict().values()
        for mean, now in zip(means, weights, strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)


def _measure(recipe: Recipe, modules: nn.ModuleDict, batches: list[Batch]) -> dict[str, float]:
    modules.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        parts = [recipe.measure(modules, batch) for batch in batches]
    return {key: float(torch.cat([part[key] for part in parts]).mean()) for key in parts[0]}


def _save(file: Path, steps: int, step: int, state: _State) -> None:
    content = {name: part.state_dict() for name, part in state.parts().items()}
    make_folder(file.parent)
    try:
        with replacing_file(file, durable=True) as part:
            torch.save({'steps': steps, 'step': step, **content}, part)
    except RuntimeError as error:
        # torch raises it when the disk is full.
        raise write_error(file, error) from error


def _resume(file: Path, steps: int, state: _State) -> int:
    if not file.exists():
        return 0
    try:
        saved = torch.load(file, weights_only=True)
        planned, step = int(saved['steps']), int(saved['step'])
        if planned == steps:
            for name, part in state.parts().items():
                part.load_state_dict(saved[name])
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        raise OutputError(
            'damaged',
            f'{file}: expected the state of this training, got {error}. '
            'Remove the file to start again.',
        ) from error
    if planned != steps:
        raise OutputError(
            'other_content',
            f'{file}: expected a training of {steps} steps, found one of {planned}. '
            f'Ask for {planned} steps, or choose another folder.',
        )
    return step


_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


def reset_parameters(network: nn.Module) -> None:
    """Initialize every layer by its width, as torch does.

    The initialization of transformers is meant for wide layers; in narrow ones signals vanish.
    """
    for module in network.modules():
        if isinstance(module, _LAYERS):
            module.reset_parameters()
