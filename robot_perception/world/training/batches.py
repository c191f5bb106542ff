"""Deterministic batches of tensors from a dataset of scenes, and their preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from robot_perception.core import AnyArray, Int64Array
from robot_perception.models import Exactly, Preprocessor
from robot_perception.world.training.dataset import Dataset

_MAX_VALIDATION, _VALIDATION_FRACTION = 240, 0.1
# Objects with a smaller visible fraction are ignored.
MIN_VISIBLE_FRACTION = 0.25
_GAIN, _TINT = 0.2, 0.06
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# The part of a preprocessor_config.json that the networks share, and that of `preprocessor`.
SCALING: Mapping[str, Any] = {
    'do_resize': True,
    'resample': 2,
    'do_rescale': True,
    'rescale_factor': 1 / 255,
    'do_normalize': False,
}
NORMALIZATION: Mapping[str, Any] = {
    **SCALING,
    'do_normalize': True,
    'image_mean': _MEAN,
    'image_std': _STD,
}


def preprocessor(height: int, width: int, *, normalize: bool) -> Preprocessor:
    """Return the preprocessing of the adapters, by `NORMALIZATION` or by `SCALING` alone."""
    mean, std = (tuple(_MEAN), tuple(_STD)) if normalize else (None, None)
    return Preprocessor(Exactly(height, width), 'bilinear', 1 / 255, mean, std)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B scenes.

    Attributes:
        pixels: (B, 3, H, W) uint8.
        depth_m: (B, H, W) float32, NaN = unknown.
        instances: (B, H, W) int64: 0 = background, otherwise row of `boxes_xyxy` + 1.
        boxes_xyxy: (B, M, 4) float32, pixels, of the visible parts.
        classes: (B, M) int64; -1 where there is no object or too little of it is visible.
        colors: (B, M) int64, index in `COLOR_NAMES`; -1 where there is no object or its color has
            no clear name.
        scene_types: (B,) int64.
    """

    pixels: torch.Tensor
    depth_m: torch.Tensor
    instances: torch.Tensor
    boxes_xyxy: torch.Tensor
    classes: torch.Tensor
    colors: torch.Tensor
    scene_types: torch.Tensor

    @property
    def boxes_relative(self) -> torch.Tensor:
        """Boxes normalized by image width and height: (B, M, 4)."""
        height, width = self.pixels.shape[-2:]
        return self.boxes_xyxy / torch.tensor([width, height] * 2)

    def first(self, count: int) -> Batch:
        """Return the first scenes, all if there are no more."""
        return Batch(*(getattr(self, field.name)[:count] for field in fields(self)))

    def select(self, scenes: Sequence[int]) -> Batch:
        """Return some of the scenes."""
        chosen = torch.as_tensor(scenes, dtype=torch.long)
        return Batch(*(getattr(self, field.name)[chosen] for field in fields(self)))


def count_validation(dataset: Dataset) -> int:
    """Count the validation scenes, the last of a dataset."""
    return min(_MAX_VALIDATION, int(len(dataset) * _VALIDATION_FRACTION))


def training_batch(dataset: Dataset, step: int, size: int) -> Batch:
    """Return the batch of a step: shuffled by epoch, randomly mirrored, with random exposure."""
    count = len(dataset) - count_validation(dataset)
    start = step * size
    order = [_order(epoch, count) for epoch in (start // count, (start + size - 1) // count)]
    epochs = [position // count - start // count for position in range(start, start + size)]
    indices = np.array(
        [order[epoch][(start + index) % count] for index, epoch in enumerate(epochs)]
    )
    rng = np.random.default_rng([1, step])
    return _load(dataset, indices, rng)


def validation_batches(dataset: Dataset, size: int) -> list[Batch]:
    """Return the validation scenes, without augmentation."""
    indices = np.arange(len(dataset) - count_validation(dataset), len(dataset))
    return [_load(dataset, indices[i : i + size], None) for i in range(0, len(indices), size)]


def _order(epoch: int, count: int) -> Int64Array:
    return np.random.default_rng([0, epoch]).permutation(count)


def _load(dataset: Dataset, indices: Int64Array, rng: np.random.Generator | None) -> Batch:
    images, depth = dataset.images[indices], dataset.depth_m[indices]
    instances, objects = dataset.instances[indices], dataset.objects[indices]
    if rng is not None:
        mirrored = rng.random(len(indices)) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        depth[mirrored] = depth[mirrored, :, ::-1]
        instances[mirrored] = instances[mirrored, :, ::-1]
        width = images.shape[2]
        objects[mirrored] = objects[mirrored][..., [0, 1, 4, 3, 2, 5]] * [1, 1, -1, 1, -1, 1]
        objects[mirrored, :, 2::2] += width
        images = _vary_exposure(images, rng)
    classes = np.where(objects[..., 1] >= MIN_VISIBLE_FRACTION, objects[..., 0], -1)
    return Batch(
        pixels=torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))),
        depth_m=torch.from_numpy(depth.astype(np.float32)),
        instances=torch.from_numpy(instances.astype(np.int64)),
        boxes_xyxy=torch.from_numpy(objects[..., 2:].astype(np.float32)),
        classes=torch.from_numpy(classes.astype(np.int64)),
        colors=torch.from_numpy(dataset.colors[indices].astype(np.int64)),
        scene_types=torch.from_numpy(dataset.scene_types[indices].astype(np.int64)),
    )


def _vary_exposure(images: AnyArray, rng: np.random.Generator) -> AnyArray:
    """Apply random exposure and white balance."""
    gain = rng.uniform(1 - _GAIN, 1 + _GAIN, (len(images), 1, 1, 1))
    tint = rng.uniform(1 - _TINT, 1 + _TINT, (len(images), 1, 1, 3))
    table = np.clip(np.arange(256) * (gain * tint).reshape(-1, 3, 1) + 0.5, 0, 255).astype(
        np.uint8
    )
    out = np.empty_like(images)
    for image, adjusted, curves in zip(images, out, table, strict=True):
        for channel in range(3):
            adjusted[..., channel] = curves[channel][image[..., channel]]
    return out
