"""Fetch a checkpoint of the catalogue. The one place that reaches the network."""

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
    """What has been fetched.

    Attributes:
        path: folder of the snapshot in the cache of the Hugging Face Hub.
        revision: the commit that was got, 40 hexadecimal digits, also where the catalogue pins
            none.
        bytes: size of its files.

    """

    path: Path
    revision: str
    bytes: int


def pull(model: str) -> PulledCheckpoint:
    """Fetch ``model`` at the catalogue's revision; what is there already is not fetched again.

    The cache is where the Hub's own variables put it (``HF_HOME``, ``HF_HUB_CACHE``).

    Raises:
        UnknownModelError: the catalogue has no such row.
        ModelError: the network, the Hub or the disk said no.
        WeightsMissingError, WeightsInvalidError: what came cannot be used.

    """
    row = find_row(model)
    if row is None:
        raise UnknownModelError(
            f'{model!r}: expected an id of the catalogue. Available: {", ".join(known_models())}. '
            'For any other checkpoint download its folder yourself and give the path as model.'
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
        # The Hub's client lets errors of three libraries through.
        raise ModelError(
            f'{model}: expected to fetch revision {row.revision} from the Hugging Face Hub, '
            f'got {type(error).__name__}: {error}. Check the network and HF_HUB_OFFLINE, or copy '
            'the folder from another machine and give its path as model.'
        ) from error
    read_checkpoint(folder, row.task, name=row.model)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return PulledCheckpoint(folder, folder.name, size)
