"""Tokenizers and processors of checkpoints for images and text, from files on this machine."""

from __future__ import annotations

from typing import Any

import transformers

from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.checkpoint_files import GENERATOR, PREPROCESSOR, read_json, TOKENIZER
from robot_perception.models.config_check import check_content
from robot_perception.models.network import reading_files

# It would need torchvision.
_VIDEO = 'video_processor'


def load_processor(checkpoint: Checkpoint, class_name: str) -> Any:  # noqa: ANN401 - untyped
    """Load the processor of a checkpoint, which prepares images and text for its network.

    Its images are prepared with Pillow, so that the results do not depend on torchvision.

    Args:
        checkpoint: found by `find_checkpoint`.
        class_name: name of the processor in transformers.

    Raises:
        WeightsInvalidError: a file cannot be read, or asks for code of its own.
    """
    folder = checkpoint.folder
    where = f'{checkpoint.task}.model: {folder}'
    for file in (*TOKENIZER, *GENERATOR, PREPROCESSOR):
        # Vocabularies may have any word as a key.
        if file.endswith('_config.json') and (folder / file).is_file():
            check_content(read_json(folder / file, where), where)
    processor_class = _without_video(getattr(transformers, class_name))
    with reading_files(
        'invalid_processor',
        f'{where}: transformers {transformers.__version__} cannot read the tokenizer or the '
        'processor',
        'Copy or pull their files again.',
    ):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        images = transformers.AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, backend='pil'
        )
        numbers, _ = processor_class.get_processor_dict(folder, local_files_only=True)
        parts = [images, tokenizer, *processor_class.unused_parts]
        return processor_class.from_args_and_dict(parts, numbers)


def _without_video(processor_class: Any) -> Any:  # noqa: ANN401 - transformers publishes no types
    """Return a subclass of a processor that has no part for videos."""
    parts = processor_class.get_attributes()

    class ImageAndText(processor_class):  # type: ignore[misc] # untyped base
        unused_parts = (None,) * (_VIDEO in parts)

        @classmethod
        def get_attributes(cls) -> list[str]:
            return [part for part in parts if part != _VIDEO]

    return ImageAndText
