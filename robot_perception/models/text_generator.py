"""Networks that write text, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import importlib
from pathlib import Path
from typing import Any, cast, Generic, TypeVar
import warnings

import torch
import transformers

from robot_perception.core import ModelError, PerceptionError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.checkpoint_files import GENERATION
from robot_perception.models.device import choose_device, DeviceSpec
from robot_perception.models.device_errors import is_out_of_memory
from robot_perception.models.families.interfaces import GenerativeFamily
from robot_perception.models.memory import check_memory
from robot_perception.models.network import reading_files
from robot_perception.models.resize import SizeHW

# Greedy search, whatever the checkpoint proposes: equal inputs have equal texts.
_GREEDY: Mapping[str, Any] = {'do_sample': False, 'num_beams': 1, 'use_cache': True}
_Family = TypeVar('_Family', bound=GenerativeFamily)


class TextGenerator(Generic[_Family]):
    """A network that writes text, on its device.

    Attributes:
        family: prepares inputs and reads texts.
        placement: device and precision.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str, precision: str) -> None:
        """Load the network, if the device has the memory for it.

        Args:
            checkpoint: found by `find_checkpoint`.
            device: as in the builders of `robot_perception.models`.
            precision: ``'auto'`` (bf16 on CUDA, fp32 on a CPU), ``'fp32'``, ``'bf16'`` or
                ``'fp16'``.

        Raises:
            ConfigError, DeviceUnavailableError: see `choose_device`.
            ModelError: the checkpoint is not usable, or too large for the memory.
        """
        placement = choose_device(device, precision)
        if precision == 'auto' and placement.device.type == 'cuda':
            # Networks for text are trained in bf16, and some exceed the range of fp16.
            placement = DeviceSpec(placement.device, 'bf16')
        self.placement = placement
        self._task, self._name = checkpoint.task, checkpoint.name
        check_memory(checkpoint, placement)
        row = checkpoint.row
        family_class = getattr(importlib.import_module(row.module), row.family)
        self.family = cast('_Family', family_class(checkpoint, placement.dtype))
        _read_generation(self.family.network, checkpoint)
        self.family.network.to(placement.device)

    def generate(
        self, inputs: Mapping[str, Any], max_new_tokens: int, **options: object
    ) -> torch.Tensor:
        """Return the tokens of a greedy search: (B, T) int64, those of a start or prompt first.

        Args:
            inputs: of the network, where it is.
            max_new_tokens: after which a text is cut.
            options: others of ``generate`` of transformers.
        """
        tokens: torch.Tensor = self.family.network.generate(
            **inputs, **_GREEDY, max_new_tokens=max_new_tokens, **options
        )
        return tokens

    def placed(self, value: torch.Tensor) -> torch.Tensor:
        """Return an input on the device of the network, floating-point ones in its precision."""
        dtype = self.placement.dtype if value.is_floating_point() else None
        return value.to(self.placement.device, dtype)

    @contextmanager
    def computing(self, size_hw: SizeHW, *, if_no_memory: str, if_refused: str) -> Iterator[None]:
        """Return the context to prepare inputs, generate and read texts in.

        Args:
            size_hw: of the image.
            if_no_memory: what else than other devices saves memory, for the message.
            if_refused: what else than another model may help, for the message.

        Raises:
            ModelError: the network failed.
        """
        height, width = size_hw
        try:
            with torch.inference_mode(), warnings.catch_warnings():
                # Those of transformers about itself.
                warnings.simplefilter('ignore')
                yield
        except PerceptionError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise ModelError(
                    'out_of_memory',
                    f'{self._task}: {self._name} ran out of memory on {self.placement.device}. '
                    f'{if_no_memory}, close what else uses the device, or use device cpu.',
                ) from error
            reason = ' '.join(str(error).split())
            raise ModelError(
                'network_failed',
                f'{self._task}: {self._name} failed on an image of {width}x{height} pixels '
                f'({type(error).__name__}: {reason}). {if_refused}, or use another model.',
            ) from error


def _read_generation(network: Any, checkpoint: Checkpoint) -> None:  # noqa: ANN401 - untyped
    """Apply the settings of a checkpoint for generation, such as the token that ends a text."""
    file: Path = checkpoint.folder / GENERATION
    if not file.is_file():
        return
    with reading_files(
        'damaged', f'{checkpoint.task}.model: {file}: cannot be read', 'Copy or pull it again.'
    ):
        network.generation_config = transformers.GenerationConfig.from_pretrained(
            checkpoint.folder, local_files_only=True
        )
