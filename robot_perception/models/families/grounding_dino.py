"""Grounding DINO and MM-Grounding-DINO, which fuse image and text; LLMDet is one of the latter."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from robot_perception.core import Detections
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.detr import resize_rule
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.objects import read_objects
from robot_perception.models.families.phrases import (
    best_of_phrases,
    check_phrases,
    embed_phrase,
    Embedded,
    join_phrases,
)
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BILINEAR, read_preprocessor
from robot_perception.models.resize import SizeHW
from robot_perception.models.tokenizer import Tokenizer


class GroundingDino:
    """Detects at most one object per query, with the best score of the tokens of each prompt.

    The text of an image is its prompts, each with a period: "a. b.". A prompt attends to itself
    only, so its tokens have the same embeddings in every text.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the networks; ``input_size`` as in `build_detector`."""
        network = load_network(checkpoint)
        backbone, network.model.text_backbone = network.model.text_backbone, Embedded()
        self.prepare = read_preprocessor(
            checkpoint, resize_rule(checkpoint, input_size), resample=BILINEAR, normalize=True
        )
        self._tokenizer = Tokenizer(checkpoint, 'detector.prompts')
        self._max_tokens = network.config.max_text_len

        def text(tokens: torch.Tensor) -> Tensors:
            return (embed_phrase(backbone, tokens, network.model.special_tokens),)

        def image(pixels: torch.Tensor, *phrases: torch.Tensor) -> Tensors:
            embeddings, tokens, owners = phrases
            output = network(pixels, input_ids=tokens, token_type_ids=embeddings)
            return best_of_phrases(output.logits, owners), output.pred_boxes

        self.networks = (
            NamedNetwork('text', backbone, text),
            NamedNetwork('image', network, image),
        )

    def tokenize(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each prompt with a period."""
        texts = [f'{prompt.lower().rstrip(" .")}.' for prompt in prompts]
        tokens = [self._tokenizer(text, self._max_tokens) for text in texts]
        check_phrases(prompts, tokens, self._max_tokens)
        return tokens

    def combine(self, tokens: Sequence[Sequence[int]], embeddings: Sequence[Tensors]) -> Tensors:
        """Return embeddings, tokens and their prompts; see `join_phrases`."""
        return join_phrases(tokens, [embedding for (embedding,) in embeddings])

    def read(
        self, outputs: Tensors, prompts: Sequence[str], size_hw: SizeHW, *, threshold: float
    ) -> Detections:
        """Return the objects in (1, Q, T + 1) logits and (1, Q, 4) boxes, best first."""
        logits, boxes = (output[0].float() for output in outputs)
        scores = logits[:, : len(prompts)].sigmoid()
        return read_objects(scores, boxes, prompts, size_hw, threshold=threshold)
