"""Lookup of checkpoints on this machine, without network access."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import difflib
from pathlib import Path
from typing import Any

from robot_perception.core import (
    ModelError,
    Stage,
    UnknownModelError,
    WeightsMissingError,
)
from robot_perception.models.architectures import check_architecture
from robot_perception.models.catalogue import (
    CatalogueRow,
    DEMO,
    DEMO_FOLDER,
    DEMO_WORDS,
    find_row,
    known_models,
    STUB,
)
from robot_perception.models.checkpoint_files import (
    check_tokenizer,
    CONFIG,
    PREPROCESSOR,
    read_json,
)
from robot_perception.models.config_check import check_content
from robot_perception.models.families import FAMILIES, FamilyRow, ONNX_DETECTOR
from robot_perception.models.installation import check_installation
from robot_perception.models.onnx_layout import find_layout_file, OnnxLayout, read_layout, SUFFIX
from robot_perception.models.pull_record import (
    check_sha256,
    is_hub_id,
    PullRecord,
    read_record,
    recorded_models,
    snapshot_folder,
)
from robot_perception.models.weight_files import find_weights, WEIGHTS

EMBEDDED: Mapping[str, str] = {
    Stage.FEATURES: 'dinov2',
    Stage.DEPTH: 'depth_anything',
    Stage.DETECTOR: 'rt_detr_v2',
    Stage.SEGMENTER: 'sam2',
}


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A folder that contains a network, or an ONNX file.

    Attributes:
        name: id of the catalogue, or name of the folder or file; results are labeled with it.
        task: the stage that it is loaded for, or ``DESCRIBER``.
        folder: path.
        config: config.json; empty for an ONNX file.
        preprocessor: preprocessor_config.json; empty when the folder has none.
        weight_files: one safetensors file, or all its shards in order; or one ONNX file.
        sha256: name of a file -> its checksum, for those that are known.
        onnx_layout: what the ONNX file expects and returns; None if its metadata state it.
    """

    name: str
    task: str
    folder: Path
    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any]
    weight_files: tuple[Path, ...]
    sha256: Mapping[str, str] = field(default_factory=dict)
    onnx_layout: OnnxLayout | None = None

    @property
    def where(self) -> str:
        """The parameter and the folder, as messages about it begin."""
        return f'{self.task}.model: {self.folder}'

    @property
    def family(self) -> str:
        """The ``model_type`` of the config."""
        return str(self.config['model_type'])

    @property
    def is_onnx(self) -> bool:
        """Whether it is an ONNX file."""
        return is_onnx_file(str(self.weight_files[0]))

    @property
    def path(self) -> Path:
        """The folder, or the ONNX file."""
        return self.weight_files[0] if self.is_onnx else self.folder

    @property
    def row(self) -> FamilyRow:
        """How it is loaded."""
        return ONNX_DETECTOR if self.is_onnx else FAMILIES[self.task][self.family]

    @property
    def network_class(self) -> str:
        """Name of its class in transformers."""
        return self.row.mask_class if self.gives_masks else self.row.network_class

    @property
    def gives_masks(self) -> bool:
        """Whether it is a detector that gives masks with its boxes."""
        mask_class, named = self.row.mask_class, self.config.get('architectures')
        return bool(mask_class) and isinstance(named, list) and mask_class in named

    @property
    def takes_depth(self) -> bool:
        """Whether the network takes the depth of a sensor."""
        return self.row.takes_depth

    @property
    def takes_text(self) -> bool:
        """Whether the network takes text, and the folder has a tokenizer."""
        return self.row.takes_text

    @property
    def writes_text(self) -> bool:
        """Whether the results of the network are texts, written token by token."""
        return self.row.writes_text


def find_checkpoint(model: str, task: str) -> Checkpoint:
    """Find a checkpoint to load: check the libraries, find it, and verify its checksums.

    See `locate_checkpoint` for the arguments.

    Raises:
        ModelError: the libraries are not usable, or the network is for another stage.
        UnknownModelError: neither a folder nor an id of the Hugging Face Hub.
        WeightsMissingError: the checkpoint is not on this machine.
        WeightsInvalidError: the checkpoint is on this machine and cannot be used.
    """
    check_installation()
    checkpoint = locate_checkpoint(model, task)
    check_sha256(
        checkpoint.folder,
        checkpoint.sha256,
        f'{task}.model: {checkpoint.folder}',
        f'Remove {checkpoint.folder}, then run: robot-perception models pull {checkpoint.name}',
    )
    return checkpoint


def locate_checkpoint(model: str, task: str) -> Checkpoint:
    """Find the folder of ``model`` and read its small files, which needs no library of networks.

    Args:
        model: ``'demo'``, `DEMO_WORDS`, the path of a folder or of an ONNX file, or an id of the
            Hugging Face Hub, which is looked up in the cache of the Hub: one that the catalogue
            pins at the catalogue's revision, any other at the commit that was pulled last.
            Folders take precedence.
        task: the stage that the network is for, or ``DESCRIBER``.

    Raises:
        ModelError: the network is for another stage.
        UnknownModelError: neither a folder nor an id of the Hugging Face Hub.
        WeightsMissingError: the checkpoint is not on this machine.
        WeightsInvalidError: the checkpoint is on this machine and cannot be used.
    """
    if model == DEMO and task in EMBEDDED:
        return _embedded(EMBEDDED[task], task)
    if model == DEMO_WORDS:
        return _embedded(Path(model).name, task)
    parameter = f'{task}.model'
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return read_checkpoint(folder, task)
    if is_onnx_file(model):
        return _onnx_file(folder, task)
    row = find_row(model)
    if row is None and not is_hub_id(model):
        included = (STUB, DEMO) if task in EMBEDDED else (STUB,)
        known = known_models(task)
        nearest = difflib.get_close_matches(model, (*included, *known), 1)
        raise UnknownModelError(
            'unknown_model',
            f'{parameter}: expected {", ".join(included)}, a folder or an id of the Hugging Face '
            f'Hub; got {model!r}, which is none of them. '
            + (f'Nearest: {nearest[0]}. ' if nearest else '')
            + (f'Catalogue: {", ".join(known)}. ' if known else '')
            + 'For any other checkpoint give the folder that holds its config.json and '
            'model.safetensors.',
        )
    if row is not None and row.task != task:
        raise ModelError(
            'wrong_task',
            f'{parameter}: expected a model for this task, got {model!r}, which is for '
            f'{row.task}. Use one of {", ".join(known_models(task))}.',
        )
    record = _find_record(model, row, parameter)
    folder = snapshot_folder(cache_folder(), model, record.revision)
    return read_checkpoint(folder, task, name=model, sha256=record.sha256)


def is_onnx_file(model: str) -> bool:
    """Return whether ``model`` names an ONNX file."""
    return model.lower().endswith(SUFFIX)


def _onnx_file(path: Path, task: str) -> Checkpoint:
    parameter = f'{task}.model'
    if task != Stage.DETECTOR:
        raise ModelError(
            'wrong_task',
            f'{parameter}: expected a checkpoint, got the ONNX file {path}; only '
            f'{Stage.DETECTOR}.model takes one. Give the folder that holds config.json and '
            f'{WEIGHTS}.',
        )
    if not path.is_file():
        raise WeightsMissingError(
            'missing_file', f'{parameter}: there is no file {path}. Correct the path.'
        )
    file = find_layout_file(path)
    layout = None if file is None else read_layout(file)
    return Checkpoint(path.name, task, path.parent, {}, {}, (path,), onnx_layout=layout)


def _embedded(name: str, task: str) -> Checkpoint:
    try:
        return read_checkpoint(DEMO_FOLDER / name, task, name=f'{DEMO}/{name}')
    except ModelError as error:
        raise type(error)(
            error.reason, f'{error} This checkpoint is part of the package: reinstall it.'
        ) from error


def read_checkpoint(
    folder: Path, task: str, *, name: str = '', sha256: Mapping[str, str] | None = None
) -> Checkpoint:
    """Read the small files of a folder; see `locate_checkpoint`."""
    where = f'{task}.model: {folder}'
    if not (folder / CONFIG).is_file():
        raise WeightsMissingError(
            'missing_file',
            f'{where}: expected a {CONFIG} beside the weights, found none. '
            'Give the folder of a checkpoint saved for transformers.',
        )
    config = read_json(folder / CONFIG, where)
    preprocessor = {}
    if (folder / PREPROCESSOR).is_file():
        preprocessor = read_json(folder / PREPROCESSOR, where)
    check_content(config, where)
    check_content(preprocessor, where)
    check_architecture(config, task, where)
    if FAMILIES[task][str(config['model_type'])].takes_text:
        check_tokenizer(folder, where)
    return Checkpoint(
        name or folder.resolve().name,
        task,
        folder,
        config,
        preprocessor,
        find_weights(folder, where),
        sha256 or {},
    )


def cache_folder() -> Path:
    """Return the cache of the Hugging Face Hub, where downloaded checkpoints are."""
    from huggingface_hub import constants  # noqa: PLC0415 - slow, optional

    return Path(constants.HF_HUB_CACHE)


def pulled_models() -> Iterator[tuple[str, str, Path, int]]:
    """Yield id, stage, folder and size in bytes of all models that were pulled and are usable."""
    cache = cache_folder()
    for model, record in recorded_models(cache):
        folder = snapshot_folder(cache, model, record.revision)
        try:
            task = check_architecture(read_json(folder / CONFIG, model), None, model)
            files = locate_checkpoint(model, task).weight_files
        except ModelError:
            continue
        yield model, task, folder, sum(file.stat().st_size for file in files)


def _find_record(model: str, row: CatalogueRow | None, parameter: str) -> PullRecord:
    """Return revision and checksums of a model of the Hub that is in the cache."""
    cache = cache_folder()
    pulled = read_record(cache, model)
    pinned = row if row is not None and row.is_pinned else None
    record = pulled
    if pinned is not None:
        # Another program may have downloaded it.
        known = {} if pulled is None or pulled.revision != pinned.revision else pulled.sha256
        record = PullRecord(pinned.revision, {**known, WEIGHTS: pinned.sha256})
    # Snapshots may have been removed since.
    if record and (snapshot_folder(cache, model, record.revision) / CONFIG).is_file():
        return record
    revision = '' if pinned is None else f' and for revision {pinned.revision}'
    raise WeightsMissingError(
        'not_downloaded',
        f'{parameter}: {model} is not on this machine. Looked for a folder of that name{revision} '
        f'in {cache}. '
        f'Run: robot-perception models pull {model}; or give the folder of a copy.',
    )
