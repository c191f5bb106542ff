"""Scenes of a dataset as batches of tensors, the same at every run."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from robot_perception.core import AnyArray, Int64Array
from robot_perception.world.training.dataset import Dataset

_MOST_WATCHED, _WATCHED_SHARE = 240, 0.1
# Less of an object than this share says little of what it is.
LEAST_VISIBLE_SHARE = 0.25
_GAIN, _TINT = 0.2, 0.06


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B scenes.

    Attributes:
        pixels: (B, 3, H, W) uint8.
        depth_m: (B, H, W) float32, NaN = unknown.
        instances: (B, H, W) int64: 0 = background, otherwise row of `boxes_xyxy` + 1.
        boxes_xyxy: (B, M, 4) float32, pixels, of the visible parts.
        classes: (B, M) int64; -1 where there is no object or too little of it is to be seen.
        scene_types: (B,) int64.

    """

    pixels: torch.Tensor
    depth_m: torch.Tensor
    instances: torch.Tensor
    boxes_xyxy: torch.Tensor
    classes: torch.Tensor
    scene_types: torch.Tensor

    @property
    def boxes_relative(self) -> torch.Tensor:
        """Boxes as shares of the picture's width and height: (B, M, 4)."""
        height, width = self.pixels.shape[-2:]
        return self.boxes_xyxy / torch.tensor([width, height] * 2)

    def first(self, count: int) -> Batch:
        """Give the first scenes alone."""
        return Batch(*(getattr(self, field.name)[:count] for field in fields(self)))


def count_watched(dataset: Dataset) -> int:
    """Count the last scenes of a dataset, which show progress and are never learnt from."""
    return min(_MOST_WATCHED, int(len(dataset) * _WATCHED_SHARE))


def training_batch(dataset: Dataset, step: int, size: int) -> Batch:
    """Give the batch of a step: every epoch in another order, mirrored and lit by chance."""
    count = len(dataset) - count_watched(dataset)
    start = step * size
    order = [_order(epoch, count) for epoch in (start // count, (start + size - 1) // count)]
    epochs = [place // count - start // count for place in range(start, start + size)]
    places = np.array(
        [order[epoch][(start + index) % count] for index, epoch in enumerate(epochs)]
    )
    rng = np.random.default_rng([1, step])
    return _load(dataset, places, rng)


def watched_batches(dataset: Dataset, size: int) -> list[Batch]:
    """Give the scenes for watching progress, as they are."""
    places = np.arange(len(dataset) - count_watched(dataset), len(dataset))
    return [_load(dataset, places[i : i + size], None) for i in range(0, len(places), size)]


def _order(epoch: int, count: int) -> Int64Array:
    order: Int64Array = np.random.default_rng([0, epoch]).permutation(count)
    return order


def _load(dataset: Dataset, places: Int64Array, rng: np.random.Generator | None) -> Batch:
    images, depth = dataset.images[places], dataset.depth_m[places]
    instances, objects = dataset.instances[places], dataset.objects[places]
    if rng is not None:
        mirrored = rng.random(len(places)) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        depth[mirrored] = depth[mirrored, :, ::-1]
        instances[mirrored] = instances[mirrored, :, ::-1]
        width = images.shape[2]
        objects[mirrored] = objects[mirrored][..., [0, 1, 4, 3, 2, 5]] * [1, 1, -1, 1, -1, 1]
        objects[mirrored, :, 2::2] += width
        images = _lit(images, rng)
    classes = np.where(objects[..., 1] >= LEAST_VISIBLE_SHARE, objects[..., 0], -1)
    return Batch(
        pixels=torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))),
        depth_m=torch.from_numpy(depth.astype(np.float32)),
        instances=torch.from_numpy(instances.astype(np.int64)),
        boxes_xyxy=torch.from_numpy(objects[..., 2:].astype(np.float32)),
        classes=torch.from_numpy(classes.astype(np.int64)),
        scene_types=torch.from_numpy(dataset.scene_types[places].astype(np.int64)),
    )


def _lit(images: AnyArray, rng: np.random.Generator) -> AnyArray:
    """Another exposure and white balance."""
    gain = rng.uniform(1 - _GAIN, 1 + _GAIN, (len(images), 1, 1, 1))
    tint = rng.uniform(1 - _TINT, 1 + _TINT, (len(images), 1, 1, 3))
    table = np.clip(np.arange(256) * (gain * tint).reshape(-1, 3, 1) + 0.5, 0, 255).astype(
        np.uint8
    )
    out = np.empty_like(images)
    for image, lit, curves in zip(images, out, table, strict=True):
        for channel in range(3):
            lit[..., channel] = curves[channel][image[..., channel]]
    return out
