"""Networks that return a class and a mask for each query: Mask2Former, MaskFormer, OneFormer."""

from __future__ import annotations

import math

import torch

from robot_perception.core import Semantics
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.class_names import read_class_names
from robot_perception.models.families.class_upsampling import best_class, check_finite, upsample
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.panoptic import class_scores, PanopticRule, read_panoptic
from robot_perception.models.families.things import find_things
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BILINEAR, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, Exactly, ResizeRule, ShortSide, SizeHW

_SHORTEST, _LONGEST, _STRIDE = 800, 1333, 32
_MULTIPLE = {'mask2former': 32, 'maskformer': 32, 'oneformer': 1}
# The published reading resizes masks of Mask2Former to this first.
_MASK_HW = {'mask2former': (384, 384)}
# "the task is panoptic" and "the task is semantic" in the tokens of CLIP, padded with zeros.
_PANOPTIC = (49406, 518, 10549, 533, 1072, 24755, 49407)
_SEMANTIC = (49406, 518, 10549, 533, 29119, 1550, 49407)


class MaskQueries:
    """Finds the class of each pixel, and objects if the checkpoint separates them."""

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_semantic_segmenter`."""
        self._name, self._mask_hw = checkpoint.name, _MASK_HW.get(checkpoint.family)
        rule = _resize_rule(checkpoint, input_size)
        self.prepare = read_preprocessor(checkpoint, rule, resample=BILINEAR, normalize=True)
        network = load_network(checkpoint)
        self.class_names = read_class_names(network.config.id2label, checkpoint)
        self._things = find_things(checkpoint, self.class_names)
        task = _SEMANTIC if self._things is None else _PANOPTIC

        def queries(pixels: torch.Tensor) -> Tensors:
            more = {}
            if checkpoint.family == 'oneformer':
                tokens = [*task, *[0] * (network.config.task_seq_len - len(task))]
                more['task_inputs'] = pixels.new_tensor([tokens] * len(pixels))
            output = network(pixel_values=pixels, **more)
            return output.class_queries_logits, output.masks_queries_logits

        self.networks = (NamedNetwork('image', network, queries),)

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Semantics:
        """Return the classes in (1, Q, L + 1) scores of classes and (1, Q, h, w) masks."""
        classes, masks = (output[0].float() for output in outputs)
        check_finite(classes, masks)
        masks = masks if self._mask_hw is None else upsample(masks, self._mask_hw)
        if self._things is None:
            found, objects = best_class(class_scores(masks, classes), size_hw), None
        else:
            found, objects = read_panoptic(masks, classes, self._things, size_hw, PanopticRule())
        return Semantics(self._name, found, self.class_names, objects)


def _resize_rule(checkpoint: Checkpoint, input_size: int) -> ResizeRule:
    """Return the rule of the checkpoint; sides are rounded up to what its files state."""
    check_input_size('semantics.input_size', input_size, _STRIDE)
    size = read_size(checkpoint)
    if 'height' in size and 'width' in size:
        return Exactly(input_size or size['height'], input_size or size['width'])
    shortest = size.get('shortest_edge', _SHORTEST)
    longest = size.get('longest_edge', _LONGEST)
    if input_size:
        shortest, longest = input_size, round(input_size * longest / shortest)
    keeping, default = ShortSide(shortest, longest), _MULTIPLE[checkpoint.family]
    multiple = max(1, int(checkpoint.preprocessor.get('size_divisor', default)))

    def rule(size_hw: SizeHW) -> SizeHW:
        height, width = (math.ceil(side / multiple) * multiple for side in keeping(size_hw))
        return height, width

    return rule
