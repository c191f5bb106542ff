"""Comparison of a runtime with torch in fp32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Image, Stage
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.runtimes.cache import CompiledFiles
from robot_perception.models.runtimes.interfaces import (
    compute_in_fp32,
    ComputedNetwork,
    fixed_shapes,
    Shapes,
    UnusableRuntimeError,
)

CALLS = 4
"""Calls compared for each shape of inputs: one on the reference picture, and three frames."""

# Share of the queries of a detector that may be others: networks which choose their queries by
# score choose others where two scores differ by rounding only.
_OTHER_QUERIES = 0.02


class Tolerance(NamedTuple):
    """Largest difference to torch in fp32.

    Attributes:
        overall: of an output: norm of the difference, as a fraction of the output's norm.
        row: of a row of an output (token, query, or row of a map): norm of the difference, as a
            fraction of the root mean square of the rows' norms.
    """

    overall: float
    row: float


# In fp32 only the order of additions differs. On 200 images the largest differences of OpenVINO
# and ONNX Runtime were 2e-6 overall and 6e-6 in a row; of the detector, whose queries move the
# points that are sampled, 4e-5 and 2e-4. One layer in bf16 makes 3e-5, of the detector 5e-4.
_FP32, _FP32_DETECTOR = Tolerance(2e-5, 2e-4), Tolerance(1e-4, 1e-3)
# A product in bf16 has a relative error of 2^-9. Over the layers of these networks this grows to
# 0.01, 0.011, 0.008 and 0.02 (full size, random weights, torch); limits are three to five times
# that, since a runtime may round at other places.
_BF16: Mapping[str, Tolerance] = {
    Stage.FEATURES: Tolerance(0.03, 0.1),
    Stage.DEPTH: Tolerance(0.05, 0.15),
    Stage.DETECTOR: Tolerance(0.05, 0.2),
    Stage.SEGMENTER: Tolerance(0.05, 0.25),
    Stage.SEMANTICS: Tolerance(0.05, 0.25),
    # The vector of an image or a text is that of a feature extractor.
    Stage.SCENE: Tolerance(0.03, 0.1),
}


def tolerance(task: str, precision: str) -> Tolerance:
    """Return the tolerance of a stage in a precision."""
    if precision == 'fp32':
        return _FP32_DETECTOR if task == Stage.DETECTOR else _FP32
    return _BF16[task]


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of outputs to those of torch in fp32, as in `Tolerance`; infinity for NaN."""

    overall: float
    row: float

    def exceeds(self, limit: Tolerance) -> bool:
        """Return whether it is larger than a tolerance."""
        return not (self.overall <= limit.overall and self.row <= limit.row)

    def __str__(self) -> str:
        """State both."""
        return f'{self.overall:.1e} overall, {self.row:.1e} in the worst row'

    def joined(self, other: Difference) -> Difference:
        """Return the larger values of both."""
        return Difference(max(self.overall, other.overall), max(self.row, other.row))


def measure(task: str, expected: Tensors, found: Tensors) -> Difference:
    """Compare the outputs of a network."""
    if [one.shape for one in expected] != [one.shape for one in found] or not all(
        bool(torch.isfinite(one).all()) for one in found
    ):
        return Difference(math.inf, math.inf)
    if task == Stage.DETECTOR:
        # The mask of a query is one row, not many.
        expected, found = (
            tuple(one.flatten(min(2, one.ndim - 1)) for one in outputs)
            for outputs in (expected, found)
        )
    pairs = [(_rows(one), _rows(other)) for one, other in zip(expected, found, strict=True)]
    if task == Stage.DETECTOR:
        pairs = _matched(pairs)
    differences = [_measure(*pair) for pair in pairs]
    return Difference(max(one.overall for one in differences), max(one.row for one in differences))


def _rows(output: torch.Tensor) -> torch.Tensor:
    values = output.detach().double().cpu()
    return values.reshape(-1, values.shape[-1])


def _measure(expected: torch.Tensor, found: torch.Tensor) -> Difference:
    errors, norms = (found - expected).norm(dim=-1), expected.norm(dim=-1)
    scale = max(float(norms.square().mean().sqrt()), 1e-9)
    return Difference(float(errors.square().mean().sqrt()) / scale, float(errors.max()) / scale)


def _matched(
    pairs: list[tuple[torch.Tensor, torch.Tensor]],
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pair each expected query with the nearest one, and leave out the few without."""
    scales = [max(float(one.norm(dim=-1).square().mean().sqrt()), 1e-9) for one, _ in pairs]
    joined = [
        torch.cat([pair[side] / scale for pair, scale in zip(pairs, scales, strict=True)], dim=-1)
        for side in (0, 1)
    ]
    nearest = torch.cdist(joined[0], joined[1]).min(dim=-1)
    kept = len(joined[0]) - math.floor(len(joined[0]) * _OTHER_QUERIES)
    order = nearest.values.argsort()[:kept]
    return [(one[order], other[nearest.indices[order]]) for one, other in pairs]


class CheckedNetwork:
    """A network whose first outputs for each shape of inputs are compared before they count."""

    def __init__(
        self,
        network: NamedNetwork,
        computed: ComputedNetwork,
        task: str,
        precision: str,
        files: CompiledFiles,
    ) -> None:
        """Wrap a computed network; ``network`` is the same one as loaded."""
        self._network, self._computed = network, computed
        self._task, self._limit = task, tolerance(task, precision)
        self._files = files
        # Shapes of inputs -> what was compared so far.
        self._records: dict[Shapes, dict[str, Any]] = {}

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs.

        Raises:
            UnusableRuntimeError: they differ from those of torch, now or in an earlier run.
        """
        shapes = fixed_shapes(self._network, inputs)
        record = self._records.get(shapes)
        if record is None:
            record = {'calls': 0, 'overall': 0.0, 'row': 0.0}
            record.update(self._files.read_record(shapes))
            self._records[shapes] = record
        if record['calls'] < CALLS:
            return self._compare(shapes, record, inputs)
        self._judge(Difference(record['overall'], record['row']))
        return self._computed(*inputs)

    def _compare(self, shapes: Shapes, record: dict[str, Any], inputs: Tensors) -> Tensors:
        found = self._computed(*inputs)
        difference = measure(self._task, compute_in_fp32(self._network, inputs), found).joined(
            Difference(record['overall'], record['row'])
        )
        # A runtime that failed once is not tried again.
        calls = CALLS if difference.exceeds(self._limit) else record['calls'] + 1
        record.update(calls=calls, overall=difference.overall, row=difference.row)
        if calls == CALLS:
            self._files.write_record(shapes, record)
        self._judge(difference)
        return found

    def _judge(self, difference: Difference) -> None:
        if difference.exceeds(self._limit):
            raise UnusableRuntimeError(
                f'its outputs differ from those of torch fp32 by {difference}, at most '
                f'{self._limit.overall:.1e} and {self._limit.row:.1e} are allowed'
            )


def reference_picture(size_hw: tuple[int, int]) -> Image:
    """Return a picture of the demo world, at the size of the images that will follow."""
    with np.load(Path(__file__).with_name('reference.npz')) as file:
        rgb = torch.from_numpy(file['rgb']).permute(2, 0, 1)[None].float()
    resized = functional.interpolate(rgb, size_hw, mode='bilinear', align_corners=False)
    return Image(resized[0].permute(1, 2, 0).round().byte().numpy())
