"""Recipe of a small metric Depth Anything and its DINOv2 backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
import transformers

from robot_perception.core import Stage
from robot_perception.world.training.batches import Batch, NORMALIZATION, preprocessor
from robot_perception.world.training.trainer import reset_parameters, TrainedNetwork
from robot_perception.world.vocabulary import CLASS_NAMES, SCENE_TYPES

_PATCH = 14
_ROWS, _COLUMNS = 12, 16
_HEIGHT, _WIDTH = _ROWS * _PATCH, _COLUMNS * _PATCH
# Features at a lower resolution separate scene types as well, in half the time.
_FEATURES_HEIGHT, _FEATURES_WIDTH = 8 * _PATCH, 10 * _PATCH
_HIDDEN, _LAYERS = 160, 5
_MAX_DEPTH_M = 8
_SLOPE_WEIGHT = 0.5
# Weight of pixels of objects: these are a tenth of an image, and with weight 1 their predicted
# depth is biased toward the background by 1.6 %.
_OBJECT_WEIGHT = 5.0
# Patches of an image that the backbone alone processes, and batch size of the whole network.
_KEPT_PATCHES, _WHOLE_BATCH = 48, 8
# The auxiliary heads predict a grid of 7 x 7 points per patch.
_POINTS = 7
_DEPTH_PREPROCESSOR: Mapping[str, Any] = {
    **NORMALIZATION,
    'image_processor_type': 'DPTImageProcessor',
    'size': {'height': _HEIGHT, 'width': _WIDTH},
    'keep_aspect_ratio': True,
    'ensure_multiple_of': _PATCH,
}
_FEATURES_PREPROCESSOR: Mapping[str, Any] = {
    **NORMALIZATION,
    'image_processor_type': 'BitImageProcessor',
    'size': {'shortest_edge': _FEATURES_HEIGHT},
    'do_center_crop': True,
    'crop_size': {'height': _FEATURES_HEIGHT, 'width': _FEATURES_WIDTH},
}
_preprocess = preprocessor(_HEIGHT, _WIDTH, normalize=True)


class DepthRecipe:
    """Metric Depth Anything; its backbone ships as a DINOv2 too.

    Attributes:
        backbone_phase: fraction of all steps in which the backbone is mostly trained alone.
        whole_probability: of a step of the whole network during that phase.
    """

    task: Stage = Stage.DEPTH
    steps = 9000
    batch_size = 32
    learning_rate = 8e-4
    muon_rate: float | None = 3e-3
    weight_decay = 1e-2
    backbone_phase = 0.6
    whole_probability = 1 / 3

    def build(self) -> nn.ModuleDict:
        """Build the network and its auxiliary heads."""
        backbone = transformers.Dinov2Config(
            hidden_size=_HIDDEN,
            num_hidden_layers=_LAYERS,
            num_attention_heads=5,
            mlp_ratio=4,
            image_size=_WIDTH,
            patch_size=_PATCH,
            out_indices=[2, 3, 4, 5],
            reshape_hidden_states=False,
        )
        config = transformers.DepthAnythingConfig(
            backbone_config=backbone,
            patch_size=_PATCH,
            reassemble_hidden_size=_HIDDEN,
            # No map is coarser than half a patch, where the default of the last is two patches:
            # the last layers have the most detail within a patch.
            neck_hidden_sizes=[24, 48, 96, 160],
            reassemble_factors=[4, 2, 2, 2],
            fusion_hidden_size=32,
            head_hidden_size=16,
            depth_estimation_type='metric',
            max_depth=_MAX_DEPTH_M,
        )
        network = transformers.DepthAnythingForDepthEstimation(config)
        for part in (network.neck, network.head):
            reset_parameters(part)
        # Initial predictions of about one meter, not of half the range.
        nn.init.constant_(network.head.conv3.bias, -2.0)
        # For so few tokens eager attention is faster than fused attention.
        network.backbone.set_attn_implementation('eager')
        modules = nn.ModuleDict({'network': network, 'tokens': _TokenHeads()})
        # The stubs of torch omit the memory format.
        layout = torch.channels_last
        return modules.to(memory_format=layout)  # type: ignore[call-overload, no-any-return]

    def loss(self, modules: nn.ModuleDict, batch: Batch, done: float) -> torch.Tensor:
        """Compute the mean error of log depth and of its gradient, plus the auxiliary loss.

        Neck and head converge fast and take more than half of a step, the backbone converges
        slowly. At first it is mostly trained alone, on a quarter of the patches of four times as
        many images: patches of one scene are redundant.
        """
        network, auxiliary = modules['network'], modules['tokens']
        if done < self.backbone_phase and torch.rand(()) > self.whole_probability:
            kept = torch.rand(len(batch.pixels), _ROWS * _COLUMNS).argsort(1)[:, :_KEPT_PATCHES]
            backbone_loss: torch.Tensor = auxiliary(
                encode_patches(network, batch, kept), batch, kept
            )
            return backbone_loss
        batch = batch.first(_WHOLE_BATCH)
        tokens = encode(network, batch)
        loss: torch.Tensor = auxiliary(tokens[-1], batch)
        meters = _decode(network, tokens).clamp(min=1e-3)
        error, known = _log_error(meters.log(), _sampled(batch.depth_m, meters.shape[-2:]))
        is_object = _sampled(batch.instances, meters.shape[-2:]) > 0
        weight = known * torch.where(is_object, _OBJECT_WEIGHT, 1.0)
        loss = loss + (error.abs() * weight).sum() / weight.sum()
        for step in (1, 4):
            for dim in (1, 2):
                length = known.shape[dim] - step
                ends = [weight.narrow(dim, begin, length) for begin in (0, step)]
                pairs = torch.maximum(*ends) * (torch.minimum(*ends) > 0)
                slope = error.narrow(dim, step, length) - error.narrow(dim, 0, length)
                loss = loss + _SLOPE_WEIGHT * (slope.abs() * pairs).sum() / pairs.sum()
        return loss

    def measure(self, modules: nn.ModuleDict, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute AbsRel and delta1 by image, and the accuracy of the scene type."""
        tokens = encode(modules['network'], batch)
        meters = _decode(modules['network'], tokens)
        full = functional.interpolate(
            meters[:, None], batch.depth_m.shape[-2:], mode='bilinear', align_corners=False
        )[:, 0]
        truth, known = batch.depth_m.nan_to_num(1), torch.isfinite(batch.depth_m)
        count = known.sum((1, 2))
        relative = (((full - truth).abs() / truth) * known).sum((1, 2)) / count
        ratio = torch.maximum(full / truth, truth / full)
        auxiliary = cast('_TokenHeads', modules['tokens'])
        scores = auxiliary.scene_logits(tokens[-1])[:, : len(SCENE_TYPES)].argmax(-1)
        return {
            'AbsRel': relative,
            'delta1': ((ratio < 1.25) & known).sum((1, 2)) / count,
            'scene type': (scores == batch.scene_types).float(),
        }

    def export(self, network: Any) -> tuple[TrainedNetwork, ...]:  # noqa: ANN401
        """Return the network, and its backbone as a DINOv2 of its own."""
        encoder = transformers.Dinov2Model(network.config.backbone_config).eval()
        encoder.load_state_dict(network.backbone.state_dict())
        return (
            TrainedNetwork(
                'depth_anything', network, _DEPTH_PREPROCESSOR, 'depth of every pixel, meters'
            ),
            TrainedNetwork('dinov2', encoder, _FEATURES_PREPROCESSOR, 'features of a scene'),
        )


def encode(network: Any, batch: Batch) -> list[torch.Tensor]:  # noqa: ANN401
    """Compute the tokens (B, 1 + N, C) of four layers; the class token is the first."""
    return list(network.backbone(_preprocess(batch.pixels)).feature_maps)


def encode_patches(network: Any, batch: Batch, kept: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Compute the tokens (B, 1 + n, C) of the last layer from the patches ``kept`` (B, n)."""
    backbone = network.backbone
    tokens = backbone.embeddings(_preprocess(batch.pixels))
    index = kept[..., None].expand(-1, -1, _HIDDEN)
    tokens = torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, index)], 1)
    last: torch.Tensor = backbone.layernorm(backbone.encoder(tokens).last_hidden_state)
    return last


def _decode(network: Any, tokens: list[torch.Tensor]) -> torch.Tensor:  # noqa: ANN401
    """Compute depth (B, h, w) in meters."""
    maps = network.neck(tokens, _ROWS, _COLUMNS)
    # Depth gradients are below the precision of bfloat16.
    with torch.autocast('cpu', enabled=False):
        meters: torch.Tensor = network.head([level.float() for level in maps], _ROWS, _COLUMNS)
    return meters


class _TokenHeads(nn.Module):
    """Auxiliary heads on the tokens of the last layer.

    The class token predicts scene type and present classes; each patch token predicts depth and
    class at points within it. This trains the backbone directly, without neck and head.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scene = nn.Linear(_HIDDEN, len(SCENE_TYPES) + len(CLASS_NAMES))
        self.depth = nn.Linear(_HIDDEN, _POINTS**2)
        self.classes = nn.Linear(_HIDDEN, _POINTS**2 * (len(CLASS_NAMES) + 1))

    def scene_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Compute logits of the scene types, then of the classes present: (B, 3 + K)."""
        logits: torch.Tensor = self.scene(tokens[:, 0])
        return logits

    def forward(
        self, tokens: torch.Tensor, batch: Batch, kept: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Sum the losses of tokens (B, 1 + n, C) of the patches ``kept`` (B, n), or of all."""
        scores = self.scene_logits(tokens)
        types = len(SCENE_TYPES)
        present = functional.one_hot(batch.classes.clamp(min=-1) + 1, len(CLASS_NAMES) + 1)
        present = present.amax(1)[:, 1:].float()
        scene = functional.cross_entropy(scores[:, :types], batch.scene_types)
        scene = scene + functional.binary_cross_entropy_with_logits(scores[:, types:], present)
        error, known = _log_error(self.depth(tokens[:, 1:]), sample_by_patch(batch.depth_m, kept))
        row = sample_by_patch(batch.instances, kept)
        classes = functional.pad(batch.classes, (1, 0), value=-1).gather(1, row.flatten(1))
        target = torch.where(classes < 0, len(CLASS_NAMES), classes).view(row.shape)
        logits = self.classes(tokens[:, 1:]).unflatten(-1, (-1, _POINTS**2)).transpose(1, 2)
        return (
            0.1 * scene
            + error.abs().sum() / known.sum()
            + 0.3 * functional.cross_entropy(logits, target)
        )


def sample_by_patch(values: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
    """Sample values (B, H, W) at the grid points of patches: (B, n, 49)."""
    points = _sampled(values, torch.Size((_ROWS * _POINTS, _COLUMNS * _POINTS)))
    points = points.view(-1, _ROWS, _POINTS, _COLUMNS, _POINTS).transpose(2, 3)
    points = points.flatten(3).flatten(1, 2)
    if kept is None:
        return points
    return points.gather(1, kept[..., None].expand(-1, -1, _POINTS**2))


def _log_error(
    log_depth: torch.Tensor, depth_m: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the error of log depth, 0 where ``depth_m`` is unknown, and where it is known."""
    known = torch.isfinite(depth_m)
    return torch.where(known, log_depth - depth_m.nan_to_num(1).log(), 0), known


def _sampled(values: torch.Tensor, size_hw: torch.Size) -> torch.Tensor:
    """Downsample (B, H, W) to (B, h, w) by nearest neighbor, which keeps edges sharp."""
    height, width = size_hw
    rows = ((torch.arange(height) + 0.5) * values.shape[1] / height).long()
    columns = ((torch.arange(width) + 0.5) * values.shape[2] / width).long()
    return values[:, rows[:, None], columns[None]]
