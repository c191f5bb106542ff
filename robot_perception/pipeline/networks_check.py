"""Comparison of every way to compute the networks of a configuration with torch in fp32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TYPE_CHECKING

from robot_perception import models
from robot_perception.core import Image, ModelError, Stage
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.networks import networks_needed
from robot_perception.pipeline.recovery import BUILDERS

if TYPE_CHECKING:
    from robot_perception.models import Backend, StageDifference


@dataclass(frozen=True, slots=True)
class CheckedBackend:
    """A stage in one runtime and precision.

    Attributes:
        stage: name of the stage.
        backend: runtime and precision.
        difference: to torch in fp32, or why there is none.
    """

    stage: Stage
    backend: Backend
    difference: StageDifference | str

    @property
    def verdict(self) -> str:
        """``right``, ``differs``, or why it cannot be used."""
        if isinstance(self.difference, str):
            return self.difference
        return 'right' if self.difference.is_right else 'differs'


def check_networks(
    config: PerceptionConfig,
    size_hw: tuple[int, int],
    *,
    images: Sequence[Image] = (),
    runtimes: Sequence[str] = (),
    precisions: Sequence[str] = (),
) -> Iterator[CheckedBackend]:
    """Compare each stage in each runtime and precision at hand with torch in fp32.

    Args:
        config: names the networks and the device; stubs are left out.
        size_hw: size of the images.
        images: those to compare; empty for the reference picture and its mirror images.
        runtimes: names of runtimes; empty for all that are installed.
        precisions: fp32, bf16 or fp16; empty for all that a runtime has.

    Raises:
        ConfigError, ModelError: a network is not usable by torch in fp32.
    """
    if config.cpu_threads > 0:
        models.limit_cpu_threads(config.cpu_threads)
    device = models.check_device(config.device)
    for stage in networks_needed(config):
        section = config.stage(stage)
        if section.model == models.STUB:
            continue
        build = partial(
            BUILDERS[stage], section.model, device=device, input_size=section.input_size
        )
        reference = build(precision='fp32', runtime='torch')
        chosen = select_backends(device, runtimes, precisions)
        for backend in stage_backends(section.model, reference, chosen):
            try:
                network = build(precision=backend.precision, runtime=backend.runtime)
                difference = models.compare_stage(network, reference, size_hw, images)
            except ModelError as error:
                difference = str(error)
            yield CheckedBackend(stage, backend, difference)


def select_backends(
    device: str, runtimes: Sequence[str], precisions: Sequence[str]
) -> tuple[Backend, ...]:
    """Return those of these runtimes and precisions that are at hand; empty for all.

    Precisions of torch may be any.
    """
    at_hand = models.backends_at_hand(device.partition(':')[0])
    names = [*runtimes, *(one.runtime for one in at_hand if not runtimes)]
    return tuple(
        models.Backend(name, precision)
        for name in dict.fromkeys(names)
        for precision in precisions or dict.fromkeys(one.precision for one in at_hand)
        if (precisions and name == models.TORCH) or models.Backend(name, precision) in at_hand
    )


def stage_backends(
    model: str,
    reference: Any,  # noqa: ANN401 - of any stage
    chosen: Sequence[Backend],
) -> Sequence[Backend]:
    """Return those of the backends that compute a model; an ONNX file has one of its own only."""
    if not models.is_onnx_file(model):
        return chosen
    return (models.Backend(*reference.backend.split()),)
