"""Download of checkpoints; the only module with network access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import difflib
from pathlib import Path
import shutil
from typing import Any

from robot_perception.core import (
    ModelError,
    UnknownModelError,
    WeightsInvalidError,
    WeightsMissingError,
)
from robot_perception.models.architectures import check_architecture
from robot_perception.models.catalogue import CatalogueRow, find_row, known_models
from robot_perception.models.checkpoint import cache_folder, locate_checkpoint, read_checkpoint
from robot_perception.models.checkpoint_files import (
    CONFIG,
    GENERATOR,
    PREPROCESSOR,
    read_json,
    TOKENIZER,
)
from robot_perception.models.config_check import check_content
from robot_perception.models.download_errors import disk_full, explain
from robot_perception.models.download_leftovers import remove_leftovers
from robot_perception.models.installation import check_installation
from robot_perception.models.licenses import published_license
from robot_perception.models.pull_record import (
    check_sha256,
    file_sha256,
    is_hub_id,
    PullRecord,
    read_record,
    snapshot_folder,
    write_record,
)
from robot_perception.models.weight_files import SHARD, WEIGHTS

# Until the Hub answers; a download itself may take as long as it needs.
_ANSWER_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class PulledCheckpoint:
    """A downloaded checkpoint.

    Attributes:
        path: folder of the snapshot in the cache of the Hugging Face Hub.
        revision: the downloaded commit, 40 hexadecimal digits.
        bytes: total size of its files.
    """

    path: Path
    revision: str
    bytes: int


def pull(model: str) -> PulledCheckpoint:
    """Download ``model``, unless it is in the cache already, and record its checksums.

    ``HF_HOME`` and ``HF_HUB_CACHE`` set the folder of the cache, as for the Hugging Face Hub.

    Args:
        model: an id of the catalogue, which is downloaded at the catalogue's revision, or once at
            its newest commit if the catalogue has none; or any other id of the Hub with a
            supported architecture, as ``owner/name`` for its newest commit or
            ``owner/name@revision``.

    Raises:
        UnknownModelError: not an id, or the Hub has no such model or revision.
        ModelError: the network, the Hub or the disk failed, or the architecture is unsupported.
        WeightsMissingError, WeightsInvalidError: the checkpoint cannot be used.
    """
    name, _, asked = model.partition('@')
    row = find_row(name)
    _check_name(name, asked, row)
    check_installation()
    remove_leftovers(cache_folder(), name)
    found = None if row is None else _on_this_machine(name, row)
    if found is not None and asked in {'', found.revision}:
        return found
    revision = asked or (row.revision if row is not None else '') or 'main'
    import huggingface_hub  # noqa: PLC0415 - checked above

    try:
        info = huggingface_hub.HfApi().model_info(
            name, revision=revision, files_metadata=True, timeout=_ANSWER_LIMIT_S
        )
    except Exception as error:
        if not asked and (found := _on_this_machine(name, row)) is not None:
            return found
        raise explain(error, name, revision) from error
    return _download(name, row, info)


def _check_name(name: str, asked: str, row: CatalogueRow | None) -> None:
    if row is not None and row.is_pinned and asked not in {'', row.revision}:
        raise ModelError(
            'pinned_revision',
            f'{name}: expected revision {row.revision} of the catalogue, got {asked}. Leave '
            f'@{asked} out, or give the folder of another revision as model.',
        )
    if row is None and not is_hub_id(name):
        nearest = difflib.get_close_matches(name, known_models(), 1)
        raise UnknownModelError(
            'unknown_model',
            f'{name!r}: expected an id of the Hugging Face Hub such as owner/name. '
            + (f'Nearest: {nearest[0]}. ' if nearest else '')
            + f'Catalogue: {", ".join(known_models())}.',
        )


def _on_this_machine(name: str, row: CatalogueRow | None) -> PulledCheckpoint | None:
    """Return a whole and verified earlier download, None if there is none."""
    cache = cache_folder()
    record = read_record(cache, name)
    if record is None or (row is not None and row.revision not in {'', record.revision}):
        return None
    folder = snapshot_folder(cache, name, record.revision)
    try:
        check_sha256(folder, record.sha256, name, '')
        task = row.task if row is not None else _task(folder, name)
        locate_checkpoint(name, task)
    except ModelError:
        return None
    return _pulled(folder, record)


def _pulled(folder: Path, record: PullRecord) -> PulledCheckpoint:
    size = sum((folder / name).stat().st_size for name in record.sha256)
    return PulledCheckpoint(folder, record.revision, size)


def _task(folder: Path, name: str) -> Any:  # noqa: ANN401 - see check_architecture
    config = read_json(folder / CONFIG, name)
    check_content(config, name)
    return check_architecture(config, None, name)


# The client publishes no types of what it returns.
def _download(name: str, row: CatalogueRow | None, info: Any) -> PulledCheckpoint:  # noqa: ANN401
    """Download the files of a commit, verify and record them."""
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    published = {file.rfilename: file.lfs.sha256 for file in info.siblings or () if file.lfs}
    files = _wanted(tuple(sizes), name)
    cache = cache_folder()
    folder = snapshot_folder(cache, name, info.sha)
    _fetch(name, info.sha, files[:1])
    # Before hundreds of megabytes of an architecture that cannot be used.
    task = row.task if row is not None else _task(folder, name)
    needed = sum(sizes[file] for file in files if not (folder / file).is_file())
    if needed > (free := _free_bytes(cache)):
        raise disk_full(name, needed, free, cache)
    _fetch(name, info.sha, files[1:])
    if row is not None and row.is_pinned:
        published[WEIGHTS] = row.sha256
    sha256 = {file: file_sha256(folder / file) for file in files}
    _check_download(name, folder, sha256, published)
    read_checkpoint(folder, task, name=name)
    record = PullRecord(info.sha, sha256, published_license(info.card_data))
    write_record(cache, name, record)
    return _pulled(folder, record)


def _wanted(names: Sequence[str], model: str) -> tuple[str, ...]:
    """Return the files to download, config.json first; never a pickle."""
    shards = sorted(name for name in names if SHARD.fullmatch(name))
    weights = [WEIGHTS] if WEIGHTS in names else shards
    if not weights:
        raise WeightsInvalidError(
            'pickled',
            f'{model}: expected model.safetensors, got a model without it, whose weights would be '
            'pickled and can run code when read. Use a revision or a copy that has it.',
        )
    if CONFIG not in names:
        raise WeightsMissingError(
            'missing_file',
            f'{model}: expected a {CONFIG}, got a model without it. Use one saved for '
            'transformers.',
        )
    small = (PREPROCESSOR, *TOKENIZER, *GENERATOR)
    return (CONFIG, *(name for name in small if name in names), *weights)


def _fetch(name: str, revision: str, files: Sequence[str]) -> None:
    import huggingface_hub  # noqa: PLC0415 - slow

    try:
        for file in files:
            huggingface_hub.hf_hub_download(
                name, file, revision=revision, etag_timeout=_ANSWER_LIMIT_S
            )
    except Exception as error:
        # The Hub's client raises exceptions of three libraries.
        raise explain(error, name, revision) from error


def _check_download(
    name: str, folder: Path, found: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    """Remove files whose checksum is wrong, so that they are downloaded again, and raise."""
    wrong = [file for file in found if expected.get(file, found[file]) != found[file]]
    for file in wrong:
        (folder / file).resolve().unlink()
        (folder / file).unlink(missing_ok=True)
    if wrong:
        raise WeightsInvalidError(
            'wrong_checksum',
            f'{name}: expected {wrong[0]} with the SHA-256 {expected[wrong[0]]}, downloaded '
            f'{found[wrong[0]]}. Run the command again; if that repeats, HF_ENDPOINT names a '
            'server that does not have these weights.',
        )


def _free_bytes(cache: Path) -> int:
    existing = next(one for one in (cache, *cache.parents) if one.exists())
    return shutil.disk_usage(existing).free
