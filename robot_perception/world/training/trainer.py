"""The loop that all demo models are trained with."""

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
from robot_perception.world.training.batches import Batch, training_batch, watched_batches
from robot_perception.world.training.dataset import Dataset
from robot_perception.world.training.muon import Muon

STATE = 'training.pt'
_WARM_UP = 300
# The rate stays high for this share of the steps, then falls along a cosine; it falls at once where
# a network goes on from an earlier training.
_FLAT = 0.4
_LARGEST_GRADIENT = 1.0
# Averages reach back over this share of all steps: as rates fall, older weights are worse ones.
_REACH = 0.02


@dataclass(frozen=True, slots=True)
class Trained:
    """A network to be shipped.

    Attributes:
        name: of its folder.
        network: of transformers, in evaluation mode.
        preprocessor: how pictures are brought to its input.
        purpose: what it gives, for its card.

    """

    name: str
    network: Any
    preprocessor: Mapping[str, Any]
    purpose: str


class Recipe(Protocol):
    """How one network learns.

    Attributes:
        task: of its network.
        steps: of a training from nothing, unless others are asked for.
        batch_size: scenes in a step.
        learning_rate: highest.
        muon_rate: highest, of the matrices of linear layers, which Muon moves
            (https://kellerjordan.github.io/posts/muon); with None AdamW moves all.
        weight_decay: of matrices; vectors have none.

    """

    task: Stage
    steps: int
    batch_size: int
    learning_rate: float
    muon_rate: float | None
    weight_decay: float

    def build(self) -> nn.ModuleDict:
        """Build the modules that learn; the one called ``network`` is shipped."""

    def loss(self, modules: nn.ModuleDict, batch: Batch, done: float) -> torch.Tensor:
        """Scalar to be made small, when a share of ``done`` in [0, 1) of all steps is done."""

    def measure(self, modules: nn.ModuleDict, batch: Batch) -> Mapping[str, torch.Tensor]:
        """Figures of scenes that nothing learns from, one for each scene or object."""

    def trained(self, network: Any) -> tuple[Trained, ...]:  # noqa: ANN401
        """Give what is shipped of the module called ``network``."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is.

    Attributes:
        step: steps done.
        loss: mean since the last report.
        figures: of the averaged weights, on scenes that nothing learns from.

    """

    step: int
    loss: float
    figures: Mapping[str, float]


def learn(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    *,
    steps: int,
    report_every: int,
    start: Mapping[str, torch.Tensor] | None = None,
    bfloat16: bool = False,
    on_step: Callable[[int], object] = lambda _: None,
    on_report: Callable[[Progress], object] = lambda _: None,
) -> Any:  # noqa: ANN401 - transformers publishes no types
    """Train, or go on where an interrupted call has left ``folder``.

    The state is written at each report. The same steps on the same machine with the same count
    of threads give the same weights, interrupted or not. ``start`` has the first weights of the
    module called ``network``; ``bfloat16`` reckons losses in mixed precision.

    Returns:
        The network with averaged weights.

    Raises:
        OutputError: the folder cannot be written, or holds the state of another training.

    """
    torch.manual_seed(0)
    state = _begin(recipe, start)
    begun = _resume(folder / STATE, steps, state)
    on_step(begun)
    modules = state.modules
    watched = watched_batches(dataset, recipe.batch_size)
    flat = _FLAT if start is None else 0.0
    losses: list[float] = []
    modules.train()
    for step in range(begun, steps):
        torch.manual_seed(step)
        for optimizer in state.optimizers.values():
            for group in optimizer.param_groups:
                group['lr'] = group['highest'] * _rate(step, steps, flat)
        batch = training_batch(dataset, step, recipe.batch_size)
        with torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
            loss = recipe.loss(modules, batch, step / steps)
        modules.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(modules.parameters(), _LARGEST_GRADIENT)
        for optimizer in state.optimizers.values():
            optimizer.step()
        _follow(state.average, modules, step, steps)
        losses.append(float(loss.detach()))
        on_step(1)
        if (step + 1) % report_every == 0 or step + 1 == steps:
            figures = _measure(recipe, state.average, watched)
            _save(folder / STATE, steps, step + 1, state)
            on_report(Progress(step + 1, sum(losses) / len(losses), figures))
            losses.clear()
    return state.average['network'].eval()


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What changes while a network learns.

    Attributes:
        modules: what learns.
        average: its weights, averaged over the last steps.
        optimizers: what moves them, by name; no weight belongs to two.

    """

    modules: nn.ModuleDict
    average: nn.ModuleDict
    optimizers: Mapping[str, torch.optim.Optimizer]

    def parts(self) -> Mapping[str, Any]:
        """What has a ``state_dict``, by name."""
        return {'modules': self.modules, 'average': self.average, **self.optimizers}


def _begin(recipe: Recipe, start: Mapping[str, torch.Tensor] | None) -> _State:
    modules = recipe.build()
    if start is not None:
        modules['network'].load_state_dict(start)
    average = copy.deepcopy(modules)
    for weight in average.parameters():
        weight.requires_grad = False
    return _State(modules, average, _optimizers(recipe, modules))


def _optimizers(recipe: Recipe, modules: nn.ModuleDict) -> Mapping[str, torch.optim.Optimizer]:
    """Give the matrices of linear layers to Muon where the recipe says so, the rest to AdamW."""
    linear = []
    if recipe.muon_rate is not None:
        layers = modules['network'].modules()
        linear = [layer.weight for layer in layers if isinstance(layer, nn.Linear)]
    taken = {id(weight) for weight in linear}
    rest = [weight for weight in modules.parameters() if id(weight) not in taken]
    groups = [
        {
            'params': [weight for weight in rest if weight.ndim > 1],
            'weight_decay': recipe.weight_decay,
        },
        {'params': [weight for weight in rest if weight.ndim <= 1], 'weight_decay': 0.0},
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


def _rate(step: int, steps: int, flat: float) -> float:
    done = step / steps
    falling = 1.0 if done < flat else (1 + math.cos(math.pi * (done - flat) / (1 - flat))) / 2
    return falling * min(1.0, (step + 1) / _WARM_UP)


def _follow(average: nn.ModuleDict, modules: nn.ModuleDict, step: int, steps: int) -> None:
    """Move averaged weights a little towards the present ones; early averages forget sooner."""
    memory = min(1 - 1 / max(1, _REACH * steps), (step + 1) / (step + 10))
    with torch.no_grad():
        for mean, now in zip(
            average.state_dict().values(), modules.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - memory)
            else:
                mean.copy_(now)


def _measure(recipe: Recipe, modules: nn.ModuleDict, batches: list[Batch]) -> dict[str, float]:
    modules.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        found = [recipe.measure(modules, batch) for batch in batches]
    return {key: float(torch.cat([part[key] for part in found]).mean()) for key in found[0]}


def _save(file: Path, steps: int, step: int, state: _State) -> None:
    content = {name: part.state_dict() for name, part in state.parts().items()}
    make_folder(file.parent)
    try:
        with replacing_file(file, durable=True) as part:
            torch.save({'steps': steps, 'step': step, **content}, part)
    except RuntimeError as error:
        # What torch makes of a full disk.
        raise write_error(file, error) from error


def _resume(file: Path, steps: int, state: _State) -> int:
    if not file.exists():
        return 0
    try:
        found = torch.load(file, weights_only=True)
        planned, step = int(found['steps']), int(found['step'])
        if planned == steps:
            for name, part in state.parts().items():
                part.load_state_dict(found[name])
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        raise OutputError(
            f'{file}: expected the state of this training, got {error}. '
            'Remove the file to start again.'
        ) from error
    if planned != steps:
        raise OutputError(
            f'{file}: expected a training of {steps} steps, found one of {planned}. '
            f'Ask for {planned} steps, or choose another folder.'
        )
    return step
