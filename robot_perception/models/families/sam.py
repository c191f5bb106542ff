"""SAM 1: masks of objects given their boxes."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Float32Array, Masks
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BILINEAR, read_preprocessor
from robot_perception.models.resize import check_input_size, LongSide, SizeHW


class Sam:
    """Predicts one mask for each box; the image is encoded once for any number of boxes.

    The long side of the image is resized to that of the input, and the rest of the input is zero.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` must be 0 or the side that it was trained with."""
        network = load_network(checkpoint)
        self._side = int(network.config.vision_config.image_size)
        # Its windows and position encodings are of one size.
        if input_size != self._side:
            check_input_size('segmenter.input_size', input_size, self._side)
        self._rule = LongSide(self._side)
        self._resize = read_preprocessor(checkpoint, self._rule, resample=BILINEAR, normalize=True)

        def encode(pixels: torch.Tensor) -> Tensors:
            return (network.get_image_embeddings(pixels),)

        def decode(embedding: torch.Tensor, boxes: torch.Tensor) -> Tensors:
            output = network(image_embeddings=embedding, input_boxes=boxes, multimask_output=False)
            return output.pred_masks, output.iou_scores

        self.networks = (
            NamedNetwork('encoder', network, encode, in_half=(network.vision_encoder,)),
            NamedNetwork('decoder', network, decode, varying=(-1, 1)),
        )

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Resize, normalize and pad (B, 3, H, W) uint8 pixels: (B, 3, side, side) float32."""
        values = self._resize(pixels)
        height, width = values.shape[-2:]
        return functional.pad(values, (0, self._side - width, 0, self._side - height))

    def prompts(self, boxes_xyxy: Float32Array, size_hw: SizeHW) -> torch.Tensor:
        """Scale (N, 4) boxes to the input: (1, N, 4)."""
        height, width = (
            np.float32(scaled / length)
            for scaled, length in zip(self._rule(size_hw), size_hw, strict=True)
        )
        return torch.from_numpy(boxes_xyxy * np.array([width, height, width, height]))[None]

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Masks:
        """Return the masks in (1, N, 1, h, w) logits and (1, N, 1) scores."""
        logits, scores = outputs[0][0].float(), outputs[1][0, :, 0]
        to_numpy(logits.sum())  # Raises if any logit is not finite.
        height, width = self._rule(size_hw)
        padded_hw = (self._side, self._side)
        logits = functional.interpolate(logits, padded_hw, mode='bilinear', align_corners=False)
        logits = logits[..., :height, :width]
        full = functional.interpolate(logits, size_hw, mode='bilinear', align_corners=False)
        return Masks((full[:, 0] > 0).cpu().numpy(), to_numpy(scores).clip(0, 1))
