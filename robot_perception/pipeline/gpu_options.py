"""What the node does by default only where the networks run on a GPU."""

from __future__ import annotations

from robot_perception import models
from robot_perception.pipeline.choices import GpuOption
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.networks import networks_needed


def batches_cameras(config: PerceptionConfig) -> bool:
    """Return whether the newest images of several cameras are computed together.

    By default they are on a GPU. On a CPU a batch takes as long as its images one by one, so that
    results would only be older.
    """
    return _is_chosen(config.batch_cameras, config)


def overlaps_outputs(config: PerceptionConfig) -> bool:
    """Return whether the outputs of a frame are made while the next frame is computed.

    By default they are on a GPU, for which the thread of the frames waits most of the time. On a
    CPU both would compete for the cores, so that results would only be older.
    """
    return _is_chosen(config.overlap_outputs, config)


def _is_chosen(option: GpuOption, config: PerceptionConfig) -> bool:
    if option is not GpuOption.AUTO:
        return option is GpuOption.ALWAYS
    names = {config.stage(stage).model for stage in networks_needed(config)}
    # Stubs need no torch.
    return bool(names - {models.STUB}) and models.check_device(config.device) != 'cpu'
