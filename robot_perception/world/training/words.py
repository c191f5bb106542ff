"""Recipe of a small MM-Grounding-DINO, a detector whose classes are phrases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import copy
from typing import Any

import numpy as np
import torch
from torch import nn
import transformers
from transformers.models.mm_grounding_dino.modeling_mm_grounding_dino import (
    build_label_maps,
    build_text_mask,
)

from robot_perception.core import Int64Array, Stage
from robot_perception.models import DEMO, find_checkpoint, load_network
from robot_perception.world.phrases import (
    COLORED,
    KINDS,
    Phrase,
    select_phrases,
    Selection,
    TRAINED_PHRASES,
    UNSEEN_PHRASES,
)
from robot_perception.world.training.batches import Batch, preprocessor, SCALING
from robot_perception.world.training.boxes import elementwise_iou, to_centers, to_corners
from robot_perception.world.training.dense_head import DenseHeads
from robot_perception.world.training.detector import backbone_config
from robot_perception.world.training.trainer import TrainedNetwork
from robot_perception.world.training.word_tokenizer import build_tokenizer, MAX_TOKENS

_HEIGHT, _WIDTH = 240, 320
# Fraction of the steps that are trained at a lower resolution, in half of the time.
_COARSE_PHASE, _COARSE_HW = 0.6, (176, 232)
_HIDDEN = 64
# Maps with auxiliary heads.
_STRIDES = (8, 16)
# In a text, in half of the steps; the others have fewer.
_PHRASES = 8
_FULL = 0.5
# Share of steps whose phrases name the color too.
_COLORED = 0.7
# Share of words that are spelled in the usual way.
_USUAL = 0.7
# Cells of the encoder that each object is assigned to.
_CELLS = 4
# Weight that transformers gives the classification in its loss.
_CLASS_WEIGHT = 2
_MIN_SCORE = 0.3
_PREPROCESSOR: Mapping[str, Any] = {
    **SCALING,
    'image_processor_type': 'GroundingDinoImageProcessor',
    'size': {'shortest_edge': _HEIGHT, 'longest_edge': _WIDTH},
}
_preprocess = preprocessor(_HEIGHT, _WIDTH, normalize=False)
_preprocess_coarse = preprocessor(*_COARSE_HW, normalize=False)


class WordsRecipe:
    """MM-Grounding-DINO with a text encoder of two layers, on the backbone of the detector.

    The phrases of a step are of one form for all scenes, so that the tokens of the n-th phrase
    are in the same places: the loss of transformers 5.23 takes those of the second scene for all
    further ones.
    """

    task: Stage = Stage.DETECTOR
    steps = 3000
    batch_size = 16
    learning_rate = 8e-4
    muon_rate: float | None = None
    weight_decay = 1e-4

    def __init__(self) -> None:
        """Create the tokenizer."""
        self._tokenizer = build_tokenizer()

    def build(self) -> nn.ModuleDict:
        """Build the network and its auxiliary heads."""
        text = transformers.BertConfig(
            vocab_size=max(self._tokenizer.get_vocab().values()) + 1,
            hidden_size=_HIDDEN,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=2 * _HIDDEN,
            max_position_embeddings=MAX_TOKENS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        config = transformers.MMGroundingDinoConfig(
            backbone_config=backbone_config(),
            text_config=text,
            d_model=_HIDDEN,
            num_queries=24,
            encoder_layers=1,
            encoder_ffn_dim=2 * _HIDDEN,
            encoder_attention_heads=4,
            decoder_layers=3,
            decoder_ffn_dim=2 * _HIDDEN,
            decoder_attention_heads=4,
            num_feature_levels=3,
            max_text_len=MAX_TOKENS,
            auxiliary_loss=True,
            dropout=0.0,
            fusion_droppath=0.0,
        )
        network = transformers.MMGroundingDinoForObjectDetection(config)
        # transformers freezes backbones of this kind.
        network.requires_grad_(requires_grad=True)
        detector = load_network(find_checkpoint(DEMO, Stage.DETECTOR))
        backbone = detector.model.backbone.model.state_dict()
        network.model.backbone.conv_encoder.model.load_state_dict(backbone)
        auxiliary = DenseHeads(len(_STRIDES), _HIDDEN)
        return nn.ModuleDict({'network': network, 'auxiliary': auxiliary})

    def loss(
        self,
        modules: nn.ModuleDict,
        batch: Batch,
        done: float,
    ) -> torch.Tensor:
        """Sum the losses of boxes, of proposals and of the auxiliary heads.

        Scenes with an object of `UNSEEN_PHRASES` are left out.
        """
        rng = np.random.default_rng(int(torch.randint(2**31, ()).item()))
        phrases = KINDS if rng.random() > _COLORED else TRAINED_PHRASES
        count = _PHRASES if rng.random() < _FULL else int(rng.integers(1, _PHRASES))
        chosen, selections = _select(batch, phrases, rng, count, is_training=True)
        labels = _labels(chosen, selections)
        if not any(len(one['class_labels']) for one in labels):
            # transformers cannot match nothing.
            return torch.stack([weight.sum() for weight in modules.parameters()]).sum() * 0
        tokens = self._tokenize(
            [[_spell(phrase, rng) for phrase in one.phrases] for one in selections]
        )
        pixels = (_preprocess_coarse if done < _COARSE_PHASE else _preprocess)(chosen.pixels)
        output = modules['network'](pixel_values=pixels, **tokens, labels=labels)
        maps = list(_maps(output.encoder_last_hidden_state_vision, pixels.shape[-2:]))
        auxiliary: torch.Tensor = modules['auxiliary'](maps, chosen)
        # That of transformers scores embeddings that do not depend on the image.
        boxes: torch.Tensor = output.loss - _CLASS_WEIGHT * output.loss_dict['loss_ce_enc']
        return boxes + _proposal_loss(modules['network'], output, tokens, labels) + auxiliary

    def measure(self, modules: nn.ModuleDict, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute recall of phrases of color and kind, and false alarms of absent ones."""
        rng = np.random.default_rng(0)
        batch, selections = _select(batch, COLORED, rng, _PHRASES, is_training=False)
        tokens = self._tokenize([[str(phrase) for phrase in one.phrases] for one in selections])
        output = modules['network'](pixel_values=_preprocess(batch.pixels), **tokens)
        boxes = to_corners(output.pred_boxes)
        # Every phrase has two words and a period, after the token of the start.
        words = output.logits.sigmoid()[..., 1 : 1 + 3 * _PHRASES].unflatten(-1, (_PHRASES, 3))
        scores = words[..., :2].amax(-1)
        overlaps: dict[bool, list[torch.Tensor]] = {False: [], True: []}
        alarms = []
        for index, one in enumerate(selections):
            best = scores[index].argmax(-1)
            confident = scores[index].amax(-1) > _MIN_SCORE
            for number, (phrase, meant) in enumerate(zip(one.phrases, one.meant, strict=True)):
                found = boxes[index, confident & (best == number)]
                if not len(meant):
                    alarms.append(float(len(found)))
                for row in meant:
                    iou = elementwise_iou(batch.boxes_relative[index, row], found)
                    overlaps[phrase in UNSEEN_PHRASES].append(torch.cat([iou, torch.zeros(1)]))
        trained, unseen = (
            torch.tensor([float(iou.max()) for iou in overlaps[key]]) for key in (False, True)
        )
        return {
            'recall': (trained > 0.5).float(),
            'recall of unseen': (unseen > 0.5).float(),
            'IoU of found': trained[trained > 0.5],
            'false alarms per absent phrase': torch.tensor(alarms),
        }

    def export(self, network: Any) -> tuple[TrainedNetwork, ...]:  # noqa: ANN401
        """Return the network with its tokenizer."""
        return (
            TrainedNetwork(
                'mm_grounding_dino',
                network,
                _PREPROCESSOR,
                'boxes of objects that words describe',
                self._tokenizer,
            ),
        )

    def _tokenize(self, texts: Sequence[Sequence[str]]) -> dict[str, torch.Tensor]:
        joined = [''.join(f'{phrase}. ' for phrase in phrases) for phrases in texts]
        return dict(self._tokenizer(joined, padding=True, return_tensors='pt'))


def _select(
    batch: Batch,
    phrases: Sequence[Phrase],
    rng: np.random.Generator,
    count: int,
    *,
    is_training: bool,
) -> tuple[Batch, list[Selection]]:
    """Select phrases for each scene; those without are left out."""
    selections: dict[int, Selection] = {}
    scenes = zip(batch.classes.numpy(), batch.colors.numpy(), strict=True)
    for index, (kinds, colors) in enumerate(scenes):
        if not (is_training and _has_unseen(kinds, colors)):
            one = select_phrases(kinds, colors, phrases, rng, count)
            if one is not None:
                selections[index] = one
    return batch.select(list(selections)), list(selections.values())


def _has_unseen(kinds: Int64Array, colors: Int64Array) -> bool:
    return any(len(phrase.is_meant(kinds, colors)[0]) for phrase in UNSEEN_PHRASES)


def _spell(phrase: Phrase, rng: np.random.Generator) -> str:
    """Return a phrase in one of its forms, mostly the usual one."""
    return ' '.join(
        forms[0 if rng.random() < _USUAL else int(rng.integers(len(forms)))]
        for forms in phrase.words()
    )


def _labels(batch: Batch, selections: Sequence[Selection]) -> list[dict[str, torch.Tensor]]:
    """Return phrase and box of each object, as the loss of transformers takes them."""
    labels = []
    for boxes, one in zip(batch.boxes_relative, selections, strict=True):
        phrases = [number for number, meant in enumerate(one.meant) for _ in meant]
        rows = [int(row) for meant in one.meant for row in meant]
        classes = torch.tensor(phrases, dtype=torch.long)
        labels.append({'class_labels': classes, 'boxes': to_centers(boxes[rows])})
    return labels


def _maps(tokens: torch.Tensor, size_hw: Sequence[int]) -> Iterator[torch.Tensor]:
    """Yield the first maps of the encoder: (B, C, h, w), from (B, T, C) of all of them."""
    first = 0
    for stride in _STRIDES:
        height, width = (-(-side // stride) for side in size_hw)
        cells = tokens[:, first : first + height * width]
        yield cells.transpose(1, 2).reshape(len(cells), -1, height, width)
        first += height * width


def _proposal_loss(
    network: Any,  # noqa: ANN401 - transformers publishes no types
    output: Any,  # noqa: ANN401
    tokens: Mapping[str, torch.Tensor],
    labels: Sequence[Mapping[str, torch.Tensor]],
) -> torch.Tensor:
    """Compute the loss of class and box that the encoder proposes at every cell.

    Queries start from the best proposals, and transformers 5.23 computes no gradient of their
    choice. Each object is assigned to several cells.
    """
    config = copy.copy(network.config)
    config.two_stage = config.auxiliary_loss = False
    repeated = [
        {key: value.repeat_interleave(_CELLS, 0) for key, value in one.items()} for one in labels
    ]
    logits = output.enc_outputs_class
    loss: torch.Tensor
    loss, _, _ = network.loss_function(
        logits,
        repeated,
        logits.device,
        output.enc_outputs_coord_logits.sigmoid(),
        config,
        build_label_maps(logits, tokens['input_ids']),
        build_text_mask(logits, tokens['attention_mask']),
    )
    return loss
