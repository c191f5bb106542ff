"""The recipe that most projects start from, to compare speed with.

The modules of transformers in fp32, one after another, with preprocessing by Pillow and numpy:
DINOv2-S at 518 x 518, Depth Anything V2 S, DETR with ResNet-50, and SAM 2.1-T with five boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
import torch
import transformers

from robot_perception.core import UInt8Array
from robot_perception.models.device import choose_device
from robot_perception.models.network import quiet_transformers

REFERENCE_MODELS = (
    'facebook/dinov2-small',
    'depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf',
    'facebook/detr-resnet-50',
    'facebook/sam2.1-hiera-tiny',
)
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_BOXES = [[50, 60, 250, 300], [300, 100, 620, 420], [10, 10, 90, 80], [200, 200, 400, 460]]
_FEATURES_HW, _SAM_HW, _STEP = (518, 518), (1024, 1024), 14
_DETECTOR_SHORTEST = 800


def load_reference(folders: Sequence[Path], device: str) -> Callable[[UInt8Array], None]:
    """Load the recipe and return a function that runs it on (H, W, 3) pixels.

    Args:
        folders: checkpoints of `REFERENCE_MODELS`, in that order.
        device: auto, cpu, cuda or cuda:N.
    """
    target = choose_device(device, 'fp32').device
    classes = (
        transformers.Dinov2Model,
        transformers.DepthAnythingForDepthEstimation,
        transformers.DetrForObjectDetection,
        transformers.Sam2Model,
    )
    with quiet_transformers():
        features, depth, detector, segmenter = (
            network.from_pretrained(folder, dtype=torch.float32).eval().to(target)
            for network, folder in zip(classes, folders, strict=True)
        )

    def run(rgb: UInt8Array) -> None:
        height, width = rgb.shape[:2]
        scale = _FEATURES_HW[0] / min(height, width)
        depth_hw = tuple(round(side * scale / _STEP) * _STEP for side in (height, width))
        scale = _DETECTOR_SHORTEST / min(height, width)
        detector_hw = (round(height * scale), round(width * scale))
        boxes = torch.tensor([[*_BOXES, [0, 0, width, height]]], dtype=torch.float32)
        boxes *= torch.tensor([_SAM_HW[1] / width, _SAM_HW[0] / height] * 2)

        def prepare(size_hw: tuple[int, ...]) -> torch.Tensor:
            return _prepare(rgb, size_hw).to(target)

        with torch.inference_mode():
            _to_host(features(pixel_values=prepare(_FEATURES_HW)).last_hidden_state)
            raw = depth(pixel_values=prepare(depth_hw)).predicted_depth
            _to_host(_resize(raw[None], (height, width)))
            _to_host(detector(pixel_values=prepare(detector_hw)).logits.softmax(-1))
            masks = segmenter(
                pixel_values=prepare(_SAM_HW),
                input_boxes=boxes.to(target),
                multimask_output=False,
            ).pred_masks[0]
            _to_host(_resize(masks, (height, width)) > 0)

    return run


def _prepare(rgb: UInt8Array, size_hw: tuple[int, ...]) -> torch.Tensor:
    image = PillowImage.fromarray(rgb).resize((size_hw[1], size_hw[0]), PillowImage.BICUBIC)
    values = (np.asarray(image) / 255 - _MEAN) / _STD
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]


def _resize(values: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    resize: Any = torch.nn.functional.interpolate
    resized: torch.Tensor = resize(values, size_hw, mode='bilinear', align_corners=False)
    return resized


def _to_host(values: torch.Tensor) -> None:
    values.cpu().numpy()
