"""Download of checkpoints; the only module with network access."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_perception.core import ModelError, UnknownModelError
from robot_perception.models.catalogue import find_row, known_models
from robot_perception.models.checkpoint import CONFIG, PREPROCESSOR, read_checkpoint
from robot_perception.models.installation import check_installation

_PATTERNS = (CONFIG, PREPROCESSOR, '*.safetensors')


@dataclass(frozen=True, slots=True)
class PulledCheckpoint:
    """A downloaded checkpoint.

    Attributes:
        path: folder of the snapshot in the cache of the Hugging Face Hub.
        revision: the downloaded commit, 40 hexadecimal digits, even if the catalogue pins none.
        bytes: total size of its files.
    """

    path: Path
    revision: str
    bytes: int


def pull(model: str) -> PulledCheckpoint:
    """Download ``model`` at the catalogue's revision, unless it is in the cache already.

    ``HF_HOME`` and ``HF_HUB_CACHE`` set the folder of the cache, as for the Hugging Face Hub.

    Raises:
        UnknownModelError: the catalogue has no such row.
        ModelError: the network, the Hub or the disk failed.
        WeightsMissingError, WeightsInvalidError: the downloaded checkpoint cannot be used.
    """
    row = find_row(model)
    if row is None:
        raise UnknownModelError(
            'unknown_model',
            f'{model!r}: expected an id of the catalogue. Available: {", ".join(known_models())}. '
            'For any other checkpoint download its folder yourself and give the path as model.',
        )
    check_installation()
    import huggingface_hub  # noqa: PLC0415 - checked above

    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                row.model, revision=row.revision, allow_patterns=list(_PATTERNS)
            )
        )
    except Exception as error:
        # The Hub's client raises exceptions of three libraries.
        raise ModelError(
            'download_failed',
            f'{model}: expected to download revision {row.revision} from the Hugging Face Hub, '
            f'got {type(error).__name__}: {error}. Check the network and HF_HUB_OFFLINE, or copy '
            'the folder from another machine and give its path as model.',
        ) from error
    read_checkpoint(folder, row.task, name=row.model)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return PulledCheckpoint(folder, folder.name, size)
