"""Lookup of checkpoints on this machine, without network access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
import re
from typing import Any

from robot_perception.core import (
    ModelError,
    Stage,
    UnknownModelError,
    WeightsInvalidError,
    WeightsMissingError,
)
from robot_perception.models.catalogue import (
    CatalogueRow,
    DEMO,
    DEMO_FOLDER,
    find_row,
    known_models,
    STUB,
)
from robot_perception.models.config_check import check_content
from robot_perception.models.families import FAMILIES
from robot_perception.models.installation import check_installation

EMBEDDED: Mapping[Stage, str] = {
    Stage.FEATURES: 'dinov2',
    Stage.DEPTH: 'depth_anything',
    Stage.DETECTOR: 'rt_detr_v2',
    Stage.SEGMENTER: 'sam2',
}

CONFIG, PREPROCESSOR = 'config.json', 'preprocessor_config.json'
# Those of the largest label tables are a tenth of this.
_MAX_JSON_BYTES = 2**24
_PICKLED = ('*.bin', '*.pt', '*.pth', '*.ckpt')
_SHARD = re.compile(r'model-(\d{5})-of-(\d{5})\.safetensors')


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A folder that contains a network.

    Attributes:
        name: id of the catalogue, or name of the folder; results are labeled with it.
        task: the stage it is loaded for.
        folder: path.
        config: config.json.
        preprocessor: preprocessor_config.json; empty when the folder has none.
        weight_files: one safetensors file, or all its shards in order.
    """

    name: str
    task: Stage
    folder: Path
    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any]
    weight_files: tuple[Path, ...]

    @property
    def family(self) -> str:
        """The ``model_type`` of the config."""
        return str(self.config['model_type'])

    @property
    def network_class(self) -> str:
        """Name of its class in transformers."""
        return FAMILIES[self.task][self.family].network_class


def find_checkpoint(model: str, task: Stage) -> Checkpoint:
    """Find the folder of ``model`` and read its small files.

    Args:
        model: ``'demo'``, the path of a folder, or an id of the catalogue, which is looked up in
            the cache of the Hugging Face Hub at the catalogue's revision. Folders take precedence.
        task: the stage that the network is for.

    Raises:
        ModelError: the libraries are not usable, or the network is for another stage.
        UnknownModelError: neither a folder nor an id of the catalogue.
        WeightsMissingError: the checkpoint is not on this machine.
        WeightsInvalidError: the checkpoint is on this machine and cannot be used.
    """
    check_installation()
    if model == DEMO:
        return _embedded(task)
    parameter = f'{task}.model'
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return read_checkpoint(folder, task)
    row = find_row(model)
    if row is None:
        raise UnknownModelError(
            'unknown_model',
            f'{parameter}: expected {STUB}, {DEMO}, an id of the catalogue or a folder; got '
            f'{model!r}, which is none of them. Catalogue: {", ".join(known_models(task))}. '
            'For any other checkpoint give the folder that holds its config.json and '
            'model.safetensors.',
        )
    if row.task != task:
        raise ModelError(
            'wrong_task',
            f'{parameter}: expected a model for this task, got {model!r}, which is for '
            f'{row.task}. Use one of {", ".join(known_models(task))}.',
        )
    return read_checkpoint(_cached_folder(row), task, name=row.model)


def _embedded(task: Stage) -> Checkpoint:
    name = EMBEDDED[task]
    try:
        return read_checkpoint(DEMO_FOLDER / name, task, name=f'{DEMO}/{name}')
    except ModelError as error:
        raise type(error)(
            error.reason, f'{error} This checkpoint is part of the package: reinstall it.'
        ) from error


def read_checkpoint(folder: Path, task: Stage, *, name: str = '') -> Checkpoint:
    """Read the small files of a folder; see `find_checkpoint`."""
    where = f'{task}.model: {folder}'
    if not (folder / CONFIG).is_file():
        raise WeightsMissingError(
            'missing_file',
            f'{where}: expected a {CONFIG} beside the weights, found none. '
            'Give the folder of a checkpoint saved for transformers.',
        )
    config = _read_json(folder / CONFIG, where)
    preprocessor = {}
    if (folder / PREPROCESSOR).is_file():
        preprocessor = _read_json(folder / PREPROCESSOR, where)
    check_content(config, where)
    check_content(preprocessor, where)
    families = FAMILIES[task]
    if config.get('model_type') not in families:
        raise ModelError(
            'wrong_task',
            f'{where}: expected model_type to be one of {", ".join(families)}; '
            f'got {config.get("model_type")!r}. Give a checkpoint for this task.',
        )
    return Checkpoint(
        name or folder.resolve().name,
        task,
        folder,
        config,
        preprocessor,
        _weight_files(folder, where),
    )


def cache_folder() -> Path:
    """Return the cache of the Hugging Face Hub, where downloaded checkpoints are."""
    from huggingface_hub import constants  # noqa: PLC0415 - slow, optional

    return Path(constants.HF_HUB_CACHE)


def _cached_folder(row: CatalogueRow) -> Path:
    """Return the snapshot of exactly a row's revision in the cache."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - slow, optional

    cache = cache_folder()
    found = try_to_load_from_cache(row.model, CONFIG, cache, revision=row.revision)
    if isinstance(found, str):
        return Path(found).parent
    raise WeightsMissingError(
        'not_downloaded',
        f'{row.task}.model: {row.model} is not on this machine. Looked for a folder of that name '
        f'and for revision {row.revision} in {cache}. '
        f'Run: robot-perception models pull {row.model}; or give the folder of a copy.',
    )


def _weight_files(folder: Path, where: str) -> tuple[Path, ...]:
    single = folder / 'model.safetensors'
    if single.is_file():
        return (single,)
    shards = sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name))
    if shards:
        expected = int(_SHARD.fullmatch(shards[0].name)[2])  # type: ignore[index] # matched above
        if len(shards) != expected:
            raise WeightsInvalidError(
                'missing_file',
                f'{where}: expected {expected} shards of weights, found {len(shards)}. '
                'Copy or pull the missing ones.',
            )
        return tuple(shards)
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        raise WeightsInvalidError(
            'pickled',
            f'{where}: expected model.safetensors, found only pickled weights ({pickled[0]}), '
            'which can run code when read and are never opened. Convert them to safetensors, or '
            'use a revision that has them.',
        )
    raise WeightsMissingError(
        'missing_file',
        f'{where}: expected model.safetensors, found no weights. Copy or pull them.',
    )


def _read_json(path: Path, where: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError(f'larger than {_MAX_JSON_BYTES} bytes')  # noqa: TRY301 - one message
        document = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsInvalidError(
            'damaged',
            f'{where}: {path.name} cannot be read as JSON ({error}). Copy or pull it again.',
        ) from None
    if not isinstance(document, dict):
        raise WeightsInvalidError(
            'damaged',
            f'{where}: {path.name} is JSON, but not an object. Copy or pull it again.',
        )
    return document
