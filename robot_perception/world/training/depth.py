"""Depth Anything with a DINOv2 backbone, small: metres, and features of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
import transformers

from robot_perception.core import Stage
from robot_perception.models import Exactly, Preprocessor
from robot_perception.world.training.batches import Batch
from robot_perception.world.training.trainer import Trained
from robot_perception.world.training.weights import draw_to_width
from robot_perception.world.vocabulary import CLASS_NAMES, SCENE_TYPES

_PATCH = 14
_ROWS, _COLUMNS = 12, 16
_HEIGHT, _WIDTH = _ROWS * _PATCH, _COLUMNS * _PATCH
# Features tell the type of a scene from fewer patches as well, in half the time.
_FEATURES_HEIGHT, _FEATURES_WIDTH = 8 * _PATCH, 10 * _PATCH
_HIDDEN, _LAYERS = 160, 5
_MAX_DEPTH_M = 8
_SLOPE_WEIGHT = 0.5
# A pixel of an object counts so many times: objects are a tenth of a picture, and without it they
# sink into what is behind them, by 1.6 % of their distance.
_OBJECT_WEIGHT = 5.0
# Until the first share of all steps is done the second share, drawn by chance, is for the whole
# network, and then all are; the others are for the backbone alone.
_ALONE, _WHOLE_SHARE = 0.6, 1 / 3
# The backbone alone sees so many patches of a picture, the whole network as many in fewer pictures.
_PATCHES_SEEN, _WHOLE = 48, 8
# Each patch is asked at 7 x 7 points of it.
_POINTS = 7
_IMAGENET = {'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225]}
_PIXELS: Mapping[str, Any] = {
    **_IMAGENET,
    'do_resize': True,
    'resample': 2,
    'do_rescale': True,
    'rescale_factor': 1 / 255,
    'do_normalize': True,
}
_DEPTH_PREPROCESSOR: Mapping[str, Any] = {
    **_PIXELS,
    'image_processor_type': 'DPTImageProcessor',
    'size': {'height': _HEIGHT, 'width': _WIDTH},
    'keep_aspect_ratio': True,
    'ensure_multiple_of': _PATCH,
}
_FEATURES_PREPROCESSOR: Mapping[str, Any] = {
    **_PIXELS,
    'image_processor_type': 'BitImageProcessor',
    'size': {'shortest_edge': _FEATURES_HEIGHT},
    'do_center_crop': True,
    'crop_size': {'height': _FEATURES_HEIGHT, 'width': _FEATURES_WIDTH},
}
# As the adapter brings pictures to the network.
_preprocess = Preprocessor(
    Exactly(_HEIGHT, _WIDTH),
    'bilinear',
    1 / 255,
    tuple(_IMAGENET['image_mean']),
    tuple(_IMAGENET['image_std']),
)


class DepthRecipe:
    """Metric Depth Anything, whose backbone ships on its own as the DINOv2."""

    task: Stage = Stage.DEPTH
    steps = 9000
    batch_size = 32
    learning_rate = 8e-4
    muon_rate: float | None = 3e-3
    weight_decay = 1e-2

    def build(self) -> nn.ModuleDict:
        """Build what is shipped and what helps it to learn."""
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
            # The last layers know best what lies where within a patch, so that no map is made
            # coarser than half a patch; usually the last one has cells of two patches.
            neck_hidden_sizes=[24, 48, 96, 160],
            reassemble_factors=[4, 2, 2, 2],
            fusion_hidden_size=32,
            head_hidden_size=16,
            depth_estimation_type='metric',
            max_depth=_MAX_DEPTH_M,
        )
        network = transformers.DepthAnythingForDepthEstimation(config)
        for part in (network.neck, network.head):
            draw_to_width(part)
        # Start about a metre away, not at half the range.
        nn.init.constant_(network.head.conv3.bias, -2.0)
        # For so few tokens plain products are faster than fused attention.
        network.backbone.set_attn_implementation('eager')
        modules = nn.ModuleDict({'network': network, 'tokens': _TokenExercise()})
        # torch's stubs do not know of the layout.
        return modules.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def loss(self, modules: nn.ModuleDict, batch: Batch, done: float) -> torch.Tensor:
        """Mean error of log depth and of its slopes, and the exercise of the tokens.

        Neck and head learn fast and cost more than half of a step, the backbone learns slowly. At
        first it mostly learns alone, on a quarter of each picture's patches: as a scene hangs
        together, four times as many scenes teach more than the rest of the patches would.
        """
        network, exercise = modules['network'], modules['tokens']
        if done < _ALONE and torch.rand(()) > _WHOLE_SHARE:
            seen = torch.rand(len(batch.pixels), _ROWS * _COLUMNS).argsort(1)[:, :_PATCHES_SEEN]
            alone: torch.Tensor = exercise(_encode_some(network, batch, seen), batch, seen)
            return alone
        batch = batch.first(_WHOLE)
        tokens = _encode(network, batch)
        loss: torch.Tensor = exercise(tokens[-1], batch)
        metres = _decode(network, tokens).clamp(min=1e-3)
        error, known = _log_error(metres.log(), _sampled(batch.depth_m, metres.shape[-2:]))
        is_object = _sampled(batch.instances, metres.shape[-2:]) > 0
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
        """Relative error of depth by image, delta1, and whether the type is told."""
        tokens = _encode(modules['network'], batch)
        metres = _decode(modules['network'], tokens)
        full = functional.interpolate(
            metres[:, None], batch.depth_m.shape[-2:], mode='bilinear', align_corners=False
        )[:, 0]
        truth, known = batch.depth_m.nan_to_num(1), torch.isfinite(batch.depth_m)
        count = known.sum((1, 2))
        relative = (((full - truth).abs() / truth) * known).sum((1, 2)) / count
        ratio = torch.maximum(full / truth, truth / full)
        exercise = cast('_TokenExercise', modules['tokens'])
        told = exercise.tell_scene(tokens[-1])[:, : len(SCENE_TYPES)].argmax(-1)
        return {
            'AbsRel': relative,
            'delta1': ((ratio < 1.25) & known).sum((1, 2)) / count,
            'scene type': (told == batch.scene_types).float(),
        }

    def trained(self, network: Any) -> tuple[Trained, ...]:  # noqa: ANN401
        """Give the network, and its backbone as a DINOv2 of its own."""
        encoder = transformers.Dinov2Model(network.config.backbone_config).eval()
        encoder.load_state_dict(network.backbone.state_dict())
        return (
            Trained(
                'depth_anything', network, _DEPTH_PREPROCESSOR, 'depth of every pixel, metres'
            ),
            Trained('dinov2', encoder, _FEATURES_PREPROCESSOR, 'features of a scene'),
        )


def _encode(network: Any, batch: Batch) -> list[torch.Tensor]:  # noqa: ANN401
    """Tokens (B, 1 + N, C) of four layers; the class token is the first."""
    return list(network.backbone(_preprocess(batch.pixels)).feature_maps)


def _encode_some(network: Any, batch: Batch, seen: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Tokens (B, 1 + n, C) of the last layer when only the patches ``seen`` (B, n) are there."""
    backbone = network.backbone
    tokens = backbone.embeddings(_preprocess(batch.pixels))
    place = seen[..., None].expand(-1, -1, _HIDDEN)
    tokens = torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, place)], 1)
    last: torch.Tensor = backbone.layernorm(backbone.encoder(tokens).last_hidden_state)
    return last


def _decode(network: Any, tokens: list[torch.Tensor]) -> torch.Tensor:  # noqa: ANN401
    """Depth (B, h, w) in metres."""
    maps = network.neck(tokens, _ROWS, _COLUMNS)
    # The slopes of depth would drown in the rounding of bfloat16.
    with torch.autocast('cpu', enabled=False):
        metres: torch.Tensor = network.head([level.float() for level in maps], _ROWS, _COLUMNS)
    return metres


class _TokenExercise(nn.Module):
    """What the tokens of the last layer are asked while they learn.

    The class token tells the type of the scene and the classes in it; each patch tells depth and
    class at points within it. That reaches the backbone without the way through neck and head.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scene = nn.Linear(_HIDDEN, len(SCENE_TYPES) + len(CLASS_NAMES))
        self.depth = nn.Linear(_HIDDEN, _POINTS**2)
        self.kind = nn.Linear(_HIDDEN, _POINTS**2 * (len(CLASS_NAMES) + 1))

    def tell_scene(self, tokens: torch.Tensor) -> torch.Tensor:
        """Score the types of scene, then the classes that may be in it: (B, 3 + K)."""
        scores: torch.Tensor = self.scene(tokens[:, 0])
        return scores

    def forward(
        self, tokens: torch.Tensor, batch: Batch, seen: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Sum the losses of (B, 1 + n, C) tokens: of the patches ``seen`` (B, n), or of all."""
        told = self.tell_scene(tokens)
        kinds = len(SCENE_TYPES)
        present = functional.one_hot(batch.classes.clamp(min=-1) + 1, len(CLASS_NAMES) + 1)
        present = present.amax(1)[:, 1:].float()
        scene = functional.cross_entropy(told[:, :kinds], batch.scene_types)
        scene = scene + functional.binary_cross_entropy_with_logits(told[:, kinds:], present)
        error, known = _log_error(self.depth(tokens[:, 1:]), _by_patch(batch.depth_m, seen))
        row = _by_patch(batch.instances, seen)
        classes = functional.pad(batch.classes, (1, 0), value=-1).gather(1, row.flatten(1))
        target = torch.where(classes < 0, len(CLASS_NAMES), classes).view(row.shape)
        answers = self.kind(tokens[:, 1:]).unflatten(-1, (-1, _POINTS**2)).transpose(1, 2)
        return (
            0.1 * scene
            + error.abs().sum() / known.sum()
            + 0.3 * functional.cross_entropy(answers, target)
        )


def _by_patch(values: torch.Tensor, seen: torch.Tensor | None) -> torch.Tensor:
    """Values (B, H, W) at the points of patches: (B, n, 49)."""
    points = _sampled(values, torch.Size((_ROWS * _POINTS, _COLUMNS * _POINTS)))
    points = points.view(-1, _ROWS, _POINTS, _COLUMNS, _POINTS).transpose(2, 3)
    points = points.flatten(3).flatten(1, 2)
    if seen is None:
        return points
    return points.gather(1, seen[..., None].expand(-1, -1, _POINTS**2))


def _log_error(
    log_depth: torch.Tensor, depth_m: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Error of log metres, 0 where the true ``depth_m`` is unknown; and where it is known."""
    known = torch.isfinite(depth_m)
    return torch.where(known, log_depth - depth_m.nan_to_num(1).log(), 0), known


def _sampled(values: torch.Tensor, size_hw: torch.Size) -> torch.Tensor:
    """Values (B, H, W) at the middles of fewer, larger pixels: (B, h, w); edges stay edges."""
    height, width = size_hw
    rows = ((torch.arange(height) + 0.5) * values.shape[1] / height).long()
    columns = ((torch.arange(width) + 0.5) * values.shape[2] / width).long()
    return values[:, rows[:, None], columns[None]]
