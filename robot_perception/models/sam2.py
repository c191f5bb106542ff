"""SAM 2: masks of objects given their boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import checked, Float32Array, Masks
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.interfaces import ImageEmbedding
from robot_perception.models.mask_upsampling import upsample_and_threshold
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BILINEAR, read_preprocessor
from robot_perception.models.resize import check_input_size, Exactly, SizeHW
from robot_perception.models.sam2_encoder import skip_unused_work
from robot_perception.models.uploaded_image import UploadedImage

_STRIDE = 32
# The decoder takes longer per box with larger batches.
_BOXES_PER_CALL = 8


class Sam2:
    """Predicts one mask for each box; the image is encoded once for any number of boxes.

    The single-mask output is used rather than the best of three: a box is hardly ambiguous, and
    the network itself falls back to the best of three where the single mask is unstable.

    Attributes:
        network: the loaded network.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: str, input_size: int
    ) -> None:
        """Load the network; arguments as in `build_segmenter`."""
        check_input_size('segmenter.input_size', input_size, _STRIDE)
        self.network = load_network(
            checkpoint,
            device=device,
            precision=precision,
            edit=(lambda config: _set_side(config, input_size)) if input_size else None,
        )
        skip_unused_work(self.network.module.vision_encoder)
        self._side = int(self.network.module.config.prompt_encoder_config.image_size)
        rule = Exactly(self._side, self._side)
        self._preprocessor = read_preprocessor(checkpoint, rule, resample=BILINEAR, normalize=True)

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        """Encode the image."""
        with self.network.running():
            maps = self.network.module.get_image_embeddings(self.preprocess(image))
        return ImageEmbedding(image.image, tuple(maps))

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Return one mask at the image's size for each of (N, 4) float32 boxes in pixels."""
        boxes = checked('boxes_xyxy', boxes_xyxy, (None, 4), np.float32, 'Pass one row per box.')
        size_hw = embedding.image.size_hw
        if not len(boxes):
            return Masks.empty(size_hw)
        masks = []
        device = self.network.device_spec.device
        # They are elsewhere if the encoder ran before this network was moved to the CPU.
        feature_maps = [
            one if one.device == device else one.to(device).float()
            for one in embedding.feature_maps
        ]
        with self.network.running():
            prompts = self._prompts(boxes, size_hw)
            for chunk in torch.split(prompts, _BOXES_PER_CALL, dim=1):
                logits, scores = self._forward(feature_maps, chunk)
                masks.append(self._postprocess(logits, scores, size_hw))
        return Masks(
            np.concatenate([chunk.pixels for chunk in masks]),
            np.concatenate([chunk.scores for chunk in masks]),
        )

    def preprocess(self, image: UploadedImage) -> torch.Tensor:
        """Return the network's input: (1, 3, H, W) float32 on its device."""
        return self._preprocessor(image.on(self.network.device_spec.device))

    def _prompts(self, boxes_xyxy: Float32Array, size_hw: SizeHW) -> torch.Tensor:
        """Scale boxes to the input, whose aspect ratio is another: (1, N, 4)."""
        height, width = size_hw
        image = np.array([width, height, width, height], np.float32)
        scaled = boxes_xyxy * (np.float32(self._side) / image)
        return torch.from_numpy(scaled)[None].to(self.network.device_spec.device)

    def _forward(
        self, feature_maps: list[torch.Tensor], prompts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.network.module(
            image_embeddings=feature_maps, input_boxes=prompts, multimask_output=False
        )
        return output.pred_masks[0], output.iou_scores[0, :, 0]

    def _postprocess(self, logits: torch.Tensor, scores: torch.Tensor, size_hw: SizeHW) -> Masks:
        logits = logits.float()
        if logits.device.type == 'cpu':
            pixels = upsample_and_threshold(self.network.to_numpy(logits[:, 0]), size_hw)
        else:
            # The sum shows an overflow of any logit and is cheaper to copy than all of them.
            self.network.to_numpy(logits.sum())
            full = functional.interpolate(logits, size_hw, mode='bilinear', align_corners=False)
            pixels = (full[:, 0] > 0).cpu().numpy()
        return Masks(pixels, self.network.to_numpy(scores).clip(0, 1))


def _set_side(config: Any, side: int) -> None:  # noqa: ANN401 - transformers publishes no types
    """Set another square input size, which does not change the weights."""
    config.vision_config.backbone_config.image_size = [side, side]
    config.vision_config.backbone_feature_sizes = [[side // stride] * 2 for stride in (4, 8, 16)]
    config.prompt_encoder_config.image_size = side
