"""Recipe of a small RT-DETRv2 detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
import transformers

from robot_perception.core import Stage
from robot_perception.world.training.batches import Batch, preprocessor, SCALING
from robot_perception.world.training.boxes import elementwise_iou, to_centers, to_corners
from robot_perception.world.training.dense_head import DenseHeads
from robot_perception.world.training.trainer import TrainedNetwork
from robot_perception.world.vocabulary import CLASS_NAMES

_HEIGHT, _WIDTH = 224, 288
_WIDTHS = [32, 48, 96, 128]
_HIDDEN = 64
# Maps with auxiliary heads: strides of 8 and 16 pixels.
_LEVELS = 2
_MIN_SCORE = 0.3
_PREPROCESSOR: Mapping[str, Any] = {
    **SCALING,
    'image_processor_type': 'RTDetrImageProcessor',
    'size': {'height': _HEIGHT, 'width': _WIDTH},
}
_preprocess = preprocessor(_HEIGHT, _WIDTH, normalize=False)


def backbone_config() -> Any:  # noqa: ANN401 - transformers publishes no types
    """Return the configuration of the backbone of the detectors, with maps at three strides."""
    return transformers.ResNetConfig(
        embedding_size=_WIDTHS[0],
        hidden_sizes=_WIDTHS,
        depths=[1, 1, 1, 1],
        layer_type='basic',
        out_features=['stage2', 'stage3', 'stage4'],
    )


class DetectorRecipe:
    """RT-DETRv2 with one million weights on a basic ResNet.

    Auxiliary heads on two maps of the encoder predict class and box at every cell: a much denser
    training signal than the few queries that are matched with objects.
    """

    task: Stage = Stage.DETECTOR
    steps = 3800
    batch_size = 16
    learning_rate = 8e-4
    muon_rate: float | None = None
    weight_decay = 1e-4

    def build(self) -> nn.ModuleDict:
        """Build the network and its auxiliary heads."""
        config = transformers.RTDetrV2Config(
            backbone_config=backbone_config(),
            freeze_backbone_batch_norms=False,
            id2label=dict(enumerate(CLASS_NAMES)),
            label2id={name: index for index, name in enumerate(CLASS_NAMES)},
            encoder_hidden_dim=_HIDDEN,
            encoder_in_channels=_WIDTHS[1:],
            encoder_ffn_dim=2 * _HIDDEN,
            encoder_layers=1,
            encoder_attention_heads=4,
            hidden_expansion=0.5,
            d_model=_HIDDEN,
            num_queries=24,
            decoder_in_channels=[_HIDDEN] * 3,
            decoder_ffn_dim=2 * _HIDDEN,
            decoder_layers=3,
            decoder_attention_heads=4,
            num_denoising=20,
            anchor_image_size=None,
            eval_size=None,
            feat_strides=[8, 16, 32],
        )
        network = transformers.RTDetrV2ForObjectDetection(config)
        auxiliary = DenseHeads(_LEVELS, _HIDDEN)
        modules = nn.ModuleDict({'network': network, 'auxiliary': auxiliary})
        # The stubs of torch omit the memory format.
        layout = torch.channels_last
        return modules.to(memory_format=layout)  # type: ignore[call-overload, no-any-return]

    def loss(
        self,
        modules: nn.ModuleDict,
        batch: Batch,
        done: float,  # noqa: ARG002 - of the base
    ) -> torch.Tensor:
        """Sum the loss of transformers and the auxiliary loss."""
        output = modules['network'](pixel_values=_pixels(batch), labels=_labels(batch))
        auxiliary: torch.Tensor = modules['auxiliary'](output.encoder_last_hidden_state, batch)
        loss: torch.Tensor = output.loss
        return loss + auxiliary

    def measure(self, modules: nn.ModuleDict, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute recall at two IoU thresholds and the count of boxes per object."""
        output = modules['network'](pixel_values=_pixels(batch))
        scores, classes = output.logits.sigmoid().max(-1)
        boxes = to_corners(output.pred_boxes)
        truth = batch.boxes_relative
        best_iou = []
        for index in range(len(truth)):
            true = torch.nonzero(batch.classes[index] >= 0)[:, 0]
            confident = scores[index] > _MIN_SCORE
            iou = elementwise_iou(truth[index, true][:, None], boxes[index, confident][None])
            iou = iou * (batch.classes[index, true][:, None] == classes[index, confident][None])
            best_iou.append(iou.max(-1).values if iou.shape[1] else iou.new_zeros(len(true)))
        iou = torch.cat(best_iou)
        return {
            'recall at IoU 0.5': (iou > 0.5).float(),
            'recall at IoU 0.75': (iou > 0.75).float(),
            'boxes per object': torch.tensor([(scores > _MIN_SCORE).sum() / max(1, len(iou))]),
        }

    def export(self, network: Any) -> tuple[TrainedNetwork, ...]:  # noqa: ANN401
        """Return the network."""
        return (
            TrainedNetwork('rt_detr_v2', network, _PREPROCESSOR, 'boxes and classes of objects'),
        )


def _pixels(batch: Batch) -> torch.Tensor:
    return _preprocess(batch.pixels).contiguous(memory_format=torch.channels_last)


def _labels(batch: Batch) -> list[dict[str, torch.Tensor]]:
    boxes = to_centers(batch.boxes_relative)
    return [
        {'class_labels': classes[classes >= 0], 'boxes': box[classes >= 0]}
        for classes, box in zip(batch.classes, boxes, strict=True)
    ]
