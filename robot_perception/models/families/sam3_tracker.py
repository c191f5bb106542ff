"""The tracker of SAM 3: masks of objects given their boxes."""

from __future__ import annotations

from typing import Any

import transformers

from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.sam2 import Sam2
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import HALVES

# Levels of its feature pyramid that the decoder takes, of four.
_LEVELS = 3


class Sam3Tracker(Sam2):
    """The decoder of SAM 2 on the encoder of SAM 3.

    Published checkpoints contain it beside the network that is prompted by words.
    """

    multiple = 14
    cell = 14
    statistics = HALVES
    has_rotary = True

    def load(self, checkpoint: Checkpoint, input_size: int) -> Any:  # noqa: ANN401 - untyped
        """Load the network for inputs of ``input_size`` pixels; 0 = those of its training."""

        def edit(config: Any) -> None:  # noqa: ANN401
            tracker = getattr(config, 'tracker_config', None)
            if tracker:
                # transformers builds the network from this part.
                config.tracker_config = transformers.Sam3TrackerConfig(**tracker)
                config = config.tracker_config
            if input_size:
                self.set_side(config, input_size)

        network = load_network(checkpoint, edit)
        neck = network.vision_encoder.neck
        # transformers adds the embedding of an empty memory to the last level, whichever it is.
        neck.fpn_layers = neck.fpn_layers[:_LEVELS]
        return network
