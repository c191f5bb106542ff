"""OmDet-Turbo, which decodes objects with embeddings of its prompts and of a task in words."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from robot_perception.core import Detections
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.objects import read_objects
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BILINEAR, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, Exactly, SizeHW
from robot_perception.models.tokenizer import Tokenizer

_SIDE, _STRIDE = 640, 32
_NO_LIMIT = 2**31
# Of two boxes of one class that overlap more, the better one is kept.
_MAX_IOU = 0.5


class OmDetTurbo:
    """Detects at most one object per query."""

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the networks; ``input_size`` as in `build_detector`."""
        network = load_network(checkpoint)
        check_input_size('detector.input_size', input_size, _STRIDE)
        size = read_size(checkpoint)
        sides = [input_size or size.get(side, _SIDE) for side in ('height', 'width')]
        self.prepare = read_preprocessor(
            checkpoint, Exactly(*sides), resample=BILINEAR, normalize=True
        )
        self._tokenizer = Tokenizer(checkpoint, 'detector.prompts')
        self._max_tokens = network.config.text_config.max_position_embeddings
        language = network.language_backbone

        def text(tokens: torch.Tensor) -> Tensors:
            states, _ = language(tokens, torch.ones_like(tokens), encode_type='task')
            return language(tokens, encode_type='class'), states

        def image(pixels: torch.Tensor, classes: torch.Tensor, task: torch.Tensor) -> Tensors:
            count = len(pixels)
            features = network.encoder(network.vision_backbone(pixels)).extracted_states
            classes, task = classes.expand(-1, count, -1), task.expand(-1, count, -1)
            mask = torch.ones(task.shape[1::-1], dtype=torch.long, device=pixels.device)
            output = network.decoder(features, classes, task, mask)
            return output.decoder_classes[-1], output.decoder_coords[-1]

        self.networks = (
            NamedNetwork('text', language, text),
            NamedNetwork('image', network, image),
        )

    def tokenize(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each prompt, and of the task, which is cut where it is too long."""
        task = self._tokenizer(f'Detect {", ".join(prompts)}.', _NO_LIMIT)
        if len(task) > self._max_tokens:
            task = [*task[: self._max_tokens - 1], task[-1]]
        return [*(self._tokenizer(prompt, self._max_tokens) for prompt in prompts), task]

    def combine(self, tokens: Sequence[Sequence[int]], embeddings: Sequence[Tensors]) -> Tensors:  # noqa: ARG002 - part of the interface
        """Return (P, 1, D) embeddings of P prompts, and (T, 1, C) of the tokens of the task."""
        classes = torch.cat([prompt for prompt, _ in embeddings[:-1]])
        return classes[:, None], embeddings[-1][1]

    def read(
        self, outputs: Tensors, prompts: Sequence[str], size_hw: SizeHW, *, threshold: float
    ) -> Detections:
        """Return the objects in (1, Q, P) logits and (1, Q, 4) boxes, best first."""
        logits, boxes = (output[0].float() for output in outputs)
        return read_objects(
            logits.sigmoid(), boxes, prompts, size_hw, threshold=threshold, max_iou=_MAX_IOU
        )
