"""Recipe of a small SAM 2 segmenter with box prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional
import transformers

from robot_perception.core import Stage
from robot_perception.world.training.batches import Batch, NORMALIZATION, preprocessor
from robot_perception.world.training.dense_head import DenseHeads
from robot_perception.world.training.trainer import reset_parameters, TrainedNetwork

_SIDE = 320
_HIDDEN = 64
_WIDTHS = [24, 48, 96, 192]
_PROMPTS = 8
# Maps with auxiliary heads: strides of 4 and 8 pixels.
_LEVELS = 2
# Resolution of the loss, higher than that of the predicted masks.
_FINE = 160
_JITTER = 0.04
_MARGIN = 0.25
_POSITION_STD, _ATTENTION_GAIN = 0.5, 1.7
_PREPROCESSOR: Mapping[str, Any] = {
    **NORMALIZATION,
    'image_processor_type': 'Sam2ImageProcessorFast',
    'size': {'height': _SIDE, 'width': _SIDE},
}
_preprocess = preprocessor(_SIDE, _SIDE, normalize=True)


class SegmenterRecipe:
    """SAM 2 that predicts one mask per box."""

    task: Stage = Stage.SEGMENTER
    steps = 4500
    batch_size = 4
    learning_rate = 1.5e-3
    muon_rate: float | None = None
    weight_decay = 1e-2

    def build(self) -> nn.ModuleDict:
        """Build the network and its auxiliary heads."""
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
                # Only the single-mask output is trained.
                'dynamic_multimask_via_stability': False,
            },
        )
        auxiliary = DenseHeads(_LEVELS, _HIDDEN)
        network = transformers.Sam2Model(config)
        # For so few tokens eager attention is faster than fused attention.
        network.vision_encoder.set_attn_implementation('eager')
        _initialize(network)
        return nn.ModuleDict({'network': network, 'auxiliary': auxiliary})

    def loss(
        self,
        modules: nn.ModuleDict,
        batch: Batch,
        done: float,  # noqa: ARG002 - of the base
    ) -> torch.Tensor:
        """Compute cross entropy near the box, Dice loss and the error of the predicted IoU."""
        rows = _sample_prompts(batch)
        boxes = _jittered(_prompt_boxes(batch, rows))
        masks = (batch.instances[:, None] == rows[..., None, None] + 1).float()
        truth = functional.interpolate(masks, (_FINE, _FINE), mode='area')
        maps = _encode_images(modules['network'], batch)
        logits, predicted_iou = _decode_masks(modules['network'], maps, boxes)
        logits = functional.interpolate(
            logits, (_FINE, _FINE), mode='bilinear', align_corners=False
        )
        cross_entropy = functional.binary_cross_entropy_with_logits(
            logits, truth, reduction='none'
        )
        near = _near_mask(boxes)
        cross_entropy = (cross_entropy * near).sum((2, 3)) / near.sum((2, 3)).clamp(min=1)
        probability = logits.sigmoid() * near
        dice = 1 - (2 * (probability * truth).sum((2, 3)) + 1) / (
            probability.sum((2, 3)) + truth.sum((2, 3)) + 1
        )
        with torch.no_grad():
            iou = _mask_iou(logits > 0, truth > 0.5)
        # Far from the box a weak penalty is enough.
        outside = functional.softplus(logits.clamp(max=10)) * (1 - near)
        auxiliary: torch.Tensor = modules['auxiliary'](maps, batch)
        return (
            auxiliary
            + cross_entropy.mean()
            + dice.mean()
            + (outside.sum((2, 3)) / (1 - near).sum((2, 3)).clamp(min=1)).mean()
            + functional.mse_loss(predicted_iou, iou)
        )

    def measure(self, modules: nn.ModuleDict, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute the mask IoU for ground-truth boxes, at the resolution of the image."""
        rows = _sample_prompts(batch)
        maps = _encode_images(modules['network'], batch)
        logits, predicted_iou = _decode_masks(modules['network'], maps, _prompt_boxes(batch, rows))
        size = batch.instances.shape[-2:]
        masks = functional.interpolate(logits, size, mode='bilinear', align_corners=False) > 0
        iou = _mask_iou(masks, batch.instances[:, None] == rows[..., None, None] + 1)
        return {
            'mask IoU': iou.flatten(),
            'error of predicted IoU': (predicted_iou - iou).abs().flatten(),
        }

    def export(self, network: Any) -> tuple[TrainedNetwork, ...]:  # noqa: ANN401
        """Return the network."""
        return (
            TrainedNetwork('sam2', network, _PREPROCESSOR, 'the pixels of the object in a box'),
        )


def _initialize(network: Any) -> None:  # noqa: ANN401 - transformers publishes no types
    """Initialize the network so that a small one can be trained.

    Where prompts and image attend to each other, query and key projections start out equal, so
    that the embedding of a box corner attends to its own position from the start.
    """
    reset_parameters(network)
    nn.init.normal_(network.vision_encoder.backbone.pos_embed, std=_POSITION_STD)
    transformer = network.mask_decoder.transformer
    attentions = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for attention in attentions:
        nn.init.orthogonal_(attention.q_proj.weight, gain=_ATTENTION_GAIN)
        nn.init.zeros_(attention.q_proj.bias)
        attention.k_proj.load_state_dict(attention.q_proj.state_dict())


def _sample_prompts(batch: Batch) -> torch.Tensor:
    """Sample the rows of objects to prompt: (B, 8), without repetition while there are enough."""
    rows = []
    for classes in batch.classes:
        there = torch.nonzero(classes >= 0)[:, 0]
        there = there if len(there) else torch.zeros(1, dtype=torch.long)
        there = there[torch.randperm(len(there))]
        rows.append(there.repeat(-(-_PROMPTS // len(there)))[:_PROMPTS])
    return torch.stack(rows)


def _prompt_boxes(batch: Batch, rows: torch.Tensor) -> torch.Tensor:
    """Return the boxes of the objects in pixels of the input: (B, 8, 4)."""
    height, width = batch.instances.shape[-2:]
    boxes = batch.boxes_xyxy.gather(1, rows[..., None].expand(-1, -1, 4))
    return boxes * torch.tensor([_SIDE / width, _SIDE / height] * 2)


def _jittered(boxes: torch.Tensor) -> torch.Tensor:
    """Add the noise of a detector to boxes."""
    sides = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)
    return (boxes + torch.randn_like(boxes) * (sides * _JITTER + 0.5)).clamp(0, _SIDE)


def _encode_images(network: Any, batch: Batch) -> list[torch.Tensor]:  # noqa: ANN401
    """Compute the feature maps at strides of 4, 8 and 16 pixels, with equal channels."""
    return list(network.vision_encoder(_preprocess(batch.pixels)).fpn_hidden_states)


def _decode_masks(
    network: Any,  # noqa: ANN401 - transformers publishes no types
    maps: list[torch.Tensor],
    boxes: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute mask logits (B, N, h, w) and predicted IoU (B, N).

    Repeats ``Sam2Model.get_image_embeddings``, which blocks gradients.
    """
    decoder = network.mask_decoder
    embeddings = [
        decoder.conv_s0(maps[0]),
        decoder.conv_s1(maps[1]),
        maps[2] + network.no_memory_embedding.view(1, -1, 1, 1),
    ]
    output = network(image_embeddings=embeddings, input_boxes=boxes, multimask_output=False)
    return output.pred_masks[:, :, 0], output.iou_scores[..., 0]


def _near_mask(boxes: torch.Tensor) -> torch.Tensor:
    """Return 1 for pixels within a margin of a box, else 0: (B, N, h, w)."""
    middle = (torch.arange(_FINE) + 0.5) * (_SIDE / _FINE)
    margin = (boxes[..., 2:] - boxes[..., :2]) * _MARGIN + 4
    low, high = boxes[..., :2] - margin, boxes[..., 2:] + margin
    inside = (middle > low[..., None]) & (middle < high[..., None])
    return (inside[:, :, 1, :, None] & inside[:, :, 0, None, :]).float()


def _mask_iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    intersection = (one & other).sum((2, 3))
    return intersection / (one | other).sum((2, 3)).clamp(min=1)
