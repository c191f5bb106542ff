"""DINOv2: what a scene looks like."""

from __future__ import annotations

import torch

from robot_perception.core import SceneFeatures
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BICUBIC, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, SizeHW, WholePatches
from robot_perception.models.uploaded_image import UploadedImage

_SIDE = 224


class Dinov2:
    """Gives the class token as the global vector and every patch token.

    The published rule resizes the short side to 256 and cuts out the middle 224 x 224, which
    throws away a quarter of a 4:3 frame. Here the whole frame is seen: its short side becomes
    the 224 of that crop, both sides are rounded to whole patches.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: str, input_size: int
    ) -> None:
        """Load the network; arguments as in `build_feature_extractor`."""
        check_input_size('features.input_size', input_size, 1)
        self._network = load_network(checkpoint, device=device, precision=precision)
        config = self._network.module.config
        self._patch: int = config.patch_size
        # Between the class token and the patches stand the registers, where a network has them.
        self._skip: int = 1 + getattr(config, 'num_register_tokens', 0)
        crop = read_size(checkpoint, 'crop_size')
        side = input_size or crop.get('height') or crop.get('shortest_edge') or _SIDE
        rule = WholePatches(side, self._patch)
        self._pixels = read_preprocessor(checkpoint, rule, resample=BICUBIC, normalise=True)

    def extract(self, image: UploadedImage) -> SceneFeatures:
        """Embed the image."""
        with self._network.running():
            pixels = self._preprocess(image)
            tokens = self._forward(pixels)
        height, width = pixels.shape[-2:]
        return self._postprocess(tokens, (height // self._patch, width // self._patch))

    def _preprocess(self, image: UploadedImage) -> torch.Tensor:
        return self._pixels(image.on(self._network.device_spec.device))

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self._network.module(pixel_values=pixels).last_hidden_state
        return tokens

    def _postprocess(self, tokens: torch.Tensor, grid_hw: SizeHW) -> SceneFeatures:
        values = self._network.to_numpy(tokens[0])
        patches = values[self._skip :].reshape(*grid_hw, -1)
        return SceneFeatures(self._network.checkpoint.name, values[0].copy(), patches)
