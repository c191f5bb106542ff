"""Detectors of the DETR family: DETR, RT-DETR, D-FINE, RF-DETR, YOLOS and similar ones."""

from __future__ import annotations

import math

import numpy as np
import torch

from robot_perception.core import Detections, WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.checkpoint_files import PREPROCESSOR
from robot_perception.models.families.batch_norm_folding import fold_batch_norm
from robot_perception.models.families.class_names import read_class_names
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.objects import read_objects
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BILINEAR, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, Exactly, ResizeRule, ShortSide, SizeHW

# Those whose every layer computes in half precision; others fail or give NaN.
_IN_HALF = ('detr', 'yolos')
# Those of a square input, and whether it is normalized unless the checkpoint states it.
_SQUARE = {
    'rt_detr': False,
    'rt_detr_v2': False,
    'd_fine': False,
    'deimv2': False,
    'lw_detr': True,
    'rf_detr': True,
}
_SQUARE_SIDE, _SQUARE_STRIDE = 640, 32
_SHORTEST, _LONGEST = 800, 1333
# COCO numbers 91 classes and uses 80; label tables of checkpoints name the unused ones this.
_UNUSED_CLASS = 'N/A'


class Detr:
    """Detects objects, each with its best class, in descending order of score.

    Each query predicts one box and a score for each class, and becomes at most one object here.
    The decoding in transformers of networks with sigmoid scores may return one box several
    times with different classes. Boxes of unused classes (``N/A``) and boxes without area inside
    the image are dropped. Networks that give masks give one for each query.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_detector`."""
        rule = resize_rule(checkpoint, input_size)
        # Anchors of one size fit no other input.
        multiple = 0 if checkpoint.config.get('anchor_image_size') else _stride(checkpoint)
        self._folder = checkpoint.folder
        network = load_network(checkpoint)
        fold_batch_norm(network)
        self.class_names = read_class_names(network.config.id2label, checkpoint)
        self.prepare = read_preprocessor(
            checkpoint,
            rule,
            resample=BILINEAR,
            normalize=_SQUARE.get(checkpoint.family, True),
            multiple=multiple,
        )

        def queries(pixels: torch.Tensor) -> Tensors:
            output = network(pixel_values=pixels)
            masks = (output.pred_masks,) if checkpoint.gives_masks else ()
            return output.logits, output.pred_boxes, *masks

        is_in_half = checkpoint.family in _IN_HALF and not checkpoint.gives_masks
        in_half = (network,) if is_in_half else ()
        self.networks = (NamedNetwork('image', network, queries, in_half),)

    def read(
        self, outputs: Tensors, size_hw: SizeHW, *, threshold: float, max_objects: int
    ) -> Detections:
        """Return the objects in (1, Q, L) logits, (1, Q, 4) boxes and (1, Q, h, w) masks."""
        logits, boxes, *masks = (output[0].float() for output in outputs)
        found = read_objects(
            self._probabilities(logits),
            boxes,
            self.class_names,
            size_hw,
            threshold=threshold,
            mask_logits=masks[0] if masks else None,
        )
        used = np.array([name != _UNUSED_CLASS for name in found.class_names], np.bool_)
        return found[np.flatnonzero(used)[:max_objects]]

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return (Q, L) scores; softmax if there is one logit more, for the background."""
        count = len(self.class_names)
        if logits.shape[-1] == count + 1:
            return logits.softmax(-1)[:, :-1]
        if logits.shape[-1] == count:
            return logits.sigmoid()
        raise WeightsInvalidError(
            'count_mismatch',
            f'detector.model: {self._folder}: expected scores for the '
            f'{count} classes that config.json names, got {logits.shape[-1]}. '
            'Name every class in id2label.',
        )


def resize_rule(checkpoint: Checkpoint, input_size: int) -> ResizeRule:
    """Return the rule of the checkpoint's training: square, or of the image's aspect ratio."""
    parameter = 'detector.input_size'
    size = read_size(checkpoint)
    if checkpoint.family in _SQUARE:
        stride = _stride(checkpoint)
        check_input_size(parameter, input_size, stride)
        sides = [size.get(side, _SQUARE_SIDE) for side in ('height', 'width')]
        if not input_size and any(side % stride for side in sides):
            raise WeightsInvalidError(
                'invalid_preprocessor',
                f'detector.model: {checkpoint.folder / PREPROCESSOR}: expected a height and a '
                f'width of multiples of {stride} pixels, got {sides[0]} and {sides[1]}. '
                f'Correct them, or set {parameter}.',
            )
        return Exactly(input_size or sides[0], input_size or sides[1])
    check_input_size(parameter, input_size, 1)
    if not input_size and 'height' in size and 'width' in size:
        return Exactly(size['height'], size['width'])
    shortest = size.get('shortest_edge', _SHORTEST)
    longest = size.get('longest_edge', _LONGEST)
    if input_size:
        shortest, longest = input_size, round(input_size * longest / shortest)
    return ShortSide(shortest, longest, _stride(checkpoint))


def _stride(checkpoint: Checkpoint) -> int:
    """Return what the sides of an input must be multiples of, in pixels."""
    if checkpoint.family == 'yolos':
        return int(checkpoint.config.get('patch_size', 16))
    if checkpoint.family not in _SQUARE:
        return 1
    backbone = checkpoint.config.get('backbone_config') or {}
    # Both attend in windows, whose number is that of a side or that of all.
    if checkpoint.family == 'rf_detr':
        return int(backbone.get('patch_size', 14) * backbone.get('num_windows', 4))
    if checkpoint.family == 'lw_detr':
        return int(backbone.get('patch_size', 16) * math.isqrt(backbone.get('num_windows', 16)))
    return _SQUARE_STRIDE
