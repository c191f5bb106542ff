"""DINOv2: features of a scene."""

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
    """Returns the class token as the global vector, and every patch token.

    The published preprocessing resizes the short side to 256 and crops the central 224 x 224,
    which loses a quarter of a 4:3 image. Here the whole image is used: its short side is
    resized to 224, and both sides are rounded to whole patches.

    Attributes:
        network: the loaded network.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: str, input_size: int
    ) -> None:
        """Load the network; arguments as in `build_feature_extractor`."""
        check_input_size('features.input_size', input_size, 1)
        self.network = load_network(checkpoint, device=device, precision=precision)
        config = self.network.module.config
        self._patch: int = config.patch_size
        # Register tokens, if any, lie between the class token and the patch tokens.
        self._skip: int = 1 + getattr(config, 'num_register_tokens', 0)
        crop = read_size(checkpoint, 'crop_size')
        side = input_size or crop.get('height') or crop.get('shortest_edge') or _SIDE
        rule = WholePatches(side, self._patch)
        self._preprocessor = read_preprocessor(checkpoint, rule, resample=BICUBIC, normalize=True)

    def extract(self, image: UploadedImage) -> SceneFeatures:
        """Compute the features of the image."""
        with self.network.running():
            pixels = self.preprocess(image)
            tokens = self._forward(pixels)
        height, width = pixels.shape[-2:]
        return self._postprocess(tokens, (height // self._patch, width // self._patch))

    def preprocess(self, image: UploadedImage) -> torch.Tensor:
        """Return the network's input: (1, 3, H, W) float32 on its device."""
        return self._preprocessor(image.on(self.network.device_spec.device))

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.network.module(pixel_values=pixels).last_hidden_state
        return tokens

    def _postprocess(self, tokens: torch.Tensor, grid_hw: SizeHW) -> SceneFeatures:
        values = self.network.to_numpy(tokens[0])
        patches = values[self._skip :].reshape(*grid_hw, -1)
        return SceneFeatures(self.network.checkpoint.name, values[0].copy(), patches)
