"""SAM 2, small: the pixels of the object in a box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional
import transformers

from robot_perception.core import Stage
from robot_perception.models import Exactly, Preprocessor
from robot_perception.world.training.batches import Batch
from robot_perception.world.training.dense_head import CellExercise
from robot_perception.world.training.trainer import Trained
from robot_perception.world.training.weights import draw_to_width

_SIDE = 320
_HIDDEN = 64
_WIDTHS = [24, 48, 96, 192]
_PROMPTS = 8
# Maps at strides of 4 and 8 pixels take part in the exercise.
_LEVELS = 2
# Masks are compared at this side, finer than they are answered.
_FINE = 160
_JITTER = 0.04
_AROUND = 0.25
_PLACE_SPREAD, _SHARPNESS = 0.5, 1.7
_IMAGENET = {'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225]}
_PREPROCESSOR: Mapping[str, Any] = {
    **_IMAGENET,
    'image_processor_type': 'Sam2ImageProcessorFast',
    'do_resize': True,
    'size': {'height': _SIDE, 'width': _SIDE},
    'resample': 2,
    'do_rescale': True,
    'rescale_factor': 1 / 255,
    'do_normalize': True,
}
# As the adapter brings pictures to the network.
_preprocess = Preprocessor(
    Exactly(_SIDE, _SIDE),
    'bilinear',
    1 / 255,
    tuple(_IMAGENET['image_mean']),
    tuple(_IMAGENET['image_std']),
)


class SegmenterRecipe:
    """SAM 2 that answers a box with one mask."""

    task: Stage = Stage.SEGMENTER
    steps = 4500
    batch_size = 4
    learning_rate = 1.5e-3
    muon_rate: float | None = None
    weight_decay = 1e-2

    def build(self) -> nn.ModuleDict:
        """Build the network."""
        backbone = transformers.Sam2HieraDetConfig(
            hidden_size=_WIDTHS[0],
            image_size=[_SIDE, _SIDE],
            blocks_per_stage=[1, 1, 3, 1],
            embed_dim_per_stage=_WIDTHS,
            num_attention_heads_per_stage=[1, 2, 4, 8],
            window_size_per_stage=[8, 4, 8, 4],
            global_attention_blocks=[3],
            window_positional_embedding_background_size=[4, 4],
            mlp_ratio=3.0,
        )
        vision = transformers.Sam2VisionConfig(
            backbone_config=backbone,
            backbone_channel_list=_WIDTHS[::-1],
            backbone_feature_sizes=[[_SIDE // stride] * 2 for stride in (4, 8, 16)],
            fpn_hidden_size=_HIDDEN,
        )
        config = transformers.Sam2Config(
            vision_config=vision,
            prompt_encoder_config={
                'hidden_size': _HIDDEN,
                'image_size': _SIDE,
                'mask_input_channels': 4,
            },
            mask_decoder_config={
                'hidden_size': _HIDDEN,
                'mlp_dim': 2 * _HIDDEN,
                'num_attention_heads': 4,
                'iou_head_hidden_dim': _HIDDEN,
                # Only the one mask for a box is taught.
                'dynamic_multimask_via_stability': False,
            },
        )
        cells = CellExercise(_LEVELS, _HIDDEN)
        network = transformers.Sam2Model(config)
        # For so few tokens plain products are faster than fused attention.
        network.vision_encoder.set_attn_implementation('eager')
        _draw_weights(network)
        return nn.ModuleDict({'network': network, 'cells': cells})

    def loss(self, modules: nn.ModuleDict, batch: Batch, done: float) -> torch.Tensor:  # noqa: ARG002
        """Cross entropy about the box, Dice, and the error of the predicted IoU."""
        rows = _which(batch)
        boxes = _jittered(_boxes(batch, rows))
        masks = (batch.instances[:, None] == rows[..., None, None] + 1).float()
        truth = functional.interpolate(masks, (_FINE, _FINE), mode='area')
        maps = _look(modules['network'], batch)
        logits, told = _answer(modules['network'], maps, boxes)
        logits = functional.interpolate(
            logits, (_FINE, _FINE), mode='bilinear', align_corners=False
        )
        cross = functional.binary_cross_entropy_with_logits(logits, truth, reduction='none')
        near = _near(boxes)
        cross = (cross * near).sum((2, 3)) / near.sum((2, 3)).clamp(min=1)
        share = logits.sigmoid() * near
        dice = 1 - (2 * (share * truth).sum((2, 3)) + 1) / (
            share.sum((2, 3)) + truth.sum((2, 3)) + 1
        )
        with torch.no_grad():
            iou = _mask_iou(logits > 0, truth > 0.5)
        # Beyond the box's surroundings a faint pull is enough.
        outside = functional.softplus(logits.clamp(max=10)) * (1 - near)
        exercise: torch.Tensor = modules['cells'](maps, batch)
        return (
            exercise
            + cross.mean()
            + dice.mean()
            + (outside.sum((2, 3)) / (1 - near).sum((2, 3)).clamp(min=1)).mean()
            + functional.mse_loss(told, iou)
        )

    def measure(self, modules: nn.ModuleDict, batch: Batch) -> dict[str, torch.Tensor]:
        """IoU of the masks from true boxes, at the size of the picture."""
        rows = _which(batch)
        maps = _look(modules['network'], batch)
        logits, told = _answer(modules['network'], maps, _boxes(batch, rows))
        size = batch.instances.shape[-2:]
        masks = functional.interpolate(logits, size, mode='bilinear', align_corners=False) > 0
        iou = _mask_iou(masks, batch.instances[:, None] == rows[..., None, None] + 1)
        return {'mask IoU': iou.flatten(), 'error of predicted IoU': (told - iou).abs().flatten()}

    def trained(self, network: Any) -> tuple[Trained, ...]:  # noqa: ANN401
        """Give the network itself."""
        return (Trained('sam2', network, _PREPROCESSOR, 'the pixels of the object in a box'),)


def _draw_weights(network: Any) -> None:  # noqa: ANN401 - transformers publishes no types
    """Draw first weights that a small network can start from.

    Where prompts and picture look at each other, queries and keys begin as one and the same, so
    that the corner of a box sees its own place at once.
    """
    draw_to_width(network)
    nn.init.normal_(network.vision_encoder.backbone.pos_embed, std=_PLACE_SPREAD)
    transformer = network.mask_decoder.transformer
    looks = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        looks += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for look in looks:
        nn.init.orthogonal_(look.q_proj.weight, gain=_SHARPNESS)
        nn.init.zeros_(look.q_proj.bias)
        look.k_proj.load_state_dict(look.q_proj.state_dict())


def _which(batch: Batch) -> torch.Tensor:
    """Rows of objects to ask for: (B, 8); every object once before any is asked for again."""
    rows = []
    for classes in batch.classes:
        there = torch.nonzero(classes >= 0)[:, 0]
        there = there if len(there) else torch.zeros(1, dtype=torch.long)
        there = there[torch.randperm(len(there))]
        rows.append(there.repeat(-(-_PROMPTS // len(there)))[:_PROMPTS])
    return torch.stack(rows)


def _boxes(batch: Batch, rows: torch.Tensor) -> torch.Tensor:
    """Boxes of the objects in pixels of the input: (B, 8, 4)."""
    height, width = batch.instances.shape[-2:]
    boxes = batch.boxes_xyxy.gather(1, rows[..., None].expand(-1, -1, 4))
    return boxes * torch.tensor([_SIDE / width, _SIDE / height] * 2)


def _jittered(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes as a detector would give them."""
    sides = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)
    return (boxes + torch.randn_like(boxes) * (sides * _JITTER + 0.5)).clamp(0, _SIDE)


def _look(network: Any, batch: Batch) -> list[torch.Tensor]:  # noqa: ANN401
    """Maps of the image encoder at strides of 4, 8 and 16 pixels, all equally wide."""
    return list(network.vision_encoder(_preprocess(batch.pixels)).fpn_hidden_states)


def _answer(
    network: Any,  # noqa: ANN401 - transformers publishes no types
    maps: list[torch.Tensor],
    boxes: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (B, N, h, w) of the masks, and the IoU (B, N) the network expects of them.

    The way from maps to embeddings is that of ``Sam2Model.get_image_embeddings``, which does not
    let gradients through.
    """
    decoder = network.mask_decoder
    embeddings = [
        decoder.conv_s0(maps[0]),
        decoder.conv_s1(maps[1]),
        maps[2] + network.no_memory_embedding.view(1, -1, 1, 1),
    ]
    output = network(image_embeddings=embeddings, input_boxes=boxes, multimask_output=False)
    return output.pred_masks[:, :, 0], output.iou_scores[..., 0]


def _near(boxes: torch.Tensor) -> torch.Tensor:
    """1 where a pixel lies in or about a box: (B, N, h, w)."""
    middle = (torch.arange(_FINE) + 0.5) * (_SIDE / _FINE)
    margin = (boxes[..., 2:] - boxes[..., :2]) * _AROUND + 4
    low, high = boxes[..., :2] - margin, boxes[..., 2:] + margin
    inside = (middle > low[..., None]) & (middle < high[..., None])
    return (inside[:, :, 1, :, None] & inside[:, :, 0, None, :]).float()


def _mask_iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    common = (one & other).sum((2, 3))
    return common / (one | other).sum((2, 3)).clamp(min=1)
