"""Loading of networks from checkpoints, and saving them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import json
import logging
from pathlib import Path
import threading
from typing import Any

from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import load_file
import torch
import transformers

from robot_perception.core import PerceptionError, WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.checkpoint_files import PREPROCESSOR
from robot_perception.models.config_check import check_is_local, check_numbers
from robot_perception.models.timm_resnet import rename_timm_key, replace_timm_backbone, uses_timm

_LOG = logging.getLogger(__name__)
_MAX_NAMED_KEYS = 3
# Parameters without weights are reported by their names; only memory is at stake here.
_LARGEST_EXCESS, _SMALLEST_EXCESS = 2, 10**7
# Settings of transformers and the hub are those of the process.
_LOADING = threading.Lock()

ConfigEdit = Callable[[Any], None]


def load_network(
    checkpoint: Checkpoint,
    edit: ConfigEdit | None = None,
    dtype: torch.dtype = torch.float32,
) -> Any:  # noqa: ANN401 - transformers publishes no types
    """Load the network of a checkpoint on the CPU, in evaluation mode.

    Args:
        checkpoint: found by `find_checkpoint`.
        edit: changes the config in place before the network is built.
        dtype: type of its parameters.

    Raises:
        WeightsInvalidError: the weights cannot be read, are not finite, or do not fit the config.
    """
    where = checkpoint.where
    config: Mapping[str, Any] = checkpoint.config
    weights = _read_weights(checkpoint.weight_files, where)
    if uses_timm(config):
        config = replace_timm_backbone(config, where, gives_masks=checkpoint.gives_masks)
        weights = {rename_timm_key(key): value for key, value in weights.items()}
    check_is_local(config, where)
    check_numbers(config, weights, where)
    _check_parameters(checkpoint, config, weights, where)
    return _assemble(checkpoint, config, weights, where, edit=edit, dtype=dtype).eval()


def _read_weights(files: tuple[Path, ...], where: str) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        weights.update(_read_file(file, where))
    bad = [
        key
        for key, value in weights.items()
        if value.is_floating_point() and not torch.isfinite(value).all()
    ]
    if bad:
        raise WeightsInvalidError(
            'not_finite',
            f'{where}: expected finite weights, got NaN or infinity in {_name_keys(bad)}. '
            'The training of this checkpoint diverged; use another one.',
        )
    return weights


def _read_file(file: Path, where: str) -> dict[str, torch.Tensor]:
    try:
        # load_file maps the file: overwriting it would change or crash a network in use.
        return {key: value.clone() for key, value in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise WeightsInvalidError(
            'damaged',
            f'{where}: {file.name} cannot be read as safetensors ({error}). '
            'It is damaged or truncated; copy or pull it again.',
        ) from None


def _check_parameters(
    checkpoint: Checkpoint,
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    where: str,
) -> None:
    """Compare the number of parameters of the network, built without memory, with the weights."""
    network_class = getattr(transformers, checkpoint.network_class)
    try:
        with _LOADING, quiet_transformers(), torch.device('meta'):
            network = network_class(network_class.config_class.from_dict(dict(config)))
    except Exception:  # noqa: BLE001 - loading reports it, with its reason
        return
    parameters = sum(value.numel() for value in network.parameters())
    available = sum(value.numel() for value in weights.values())
    if parameters > _LARGEST_EXCESS * available + _SMALLEST_EXCESS:
        raise WeightsInvalidError(
            'out_of_range',
            f'{where}: expected config.json to describe the network of these {available} weights, '
            f'got one with {parameters} parameters. The two files do not belong together; copy '
            'or pull both.',
        )


def _assemble(
    checkpoint: Checkpoint,
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    where: str,
    *,
    edit: ConfigEdit | None,
    dtype: torch.dtype,
) -> Any:  # noqa: ANN401 - transformers publishes no types
    network_class = getattr(transformers, checkpoint.network_class)
    with reading_files(
        'invalid_config',
        f'{where}: transformers {transformers.__version__} cannot build the network',
        'Use a checkpoint saved for this architecture.',
    ):
        settings = network_class.config_class.from_dict(dict(config))
        if edit is not None:
            edit(settings)
        module, report = network_class.from_pretrained(
            None,
            config=settings,
            state_dict=dict(weights),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype=dtype,
        )
    _check_report(module, report, where)
    return module


def _check_report(module: torch.nn.Module, report: Mapping[str, Any], where: str) -> None:
    """Raise if any layer would keep random weights, or if weights lack their layer."""
    mismatched = [key for key, *_ in report['mismatched_keys']]
    extra = {key for key in report['unexpected_keys'] if 'num_batches_tracked' not in key}
    cut = [key for key in extra if _is_beyond_the_last_layer(module, key)]
    for kind, keys in (
        ('weights that are missing', report['missing_keys']),
        ('weights of another shape', mismatched),
        ('layers that the config lacks', cut),
        ('weights that cannot be converted', report['error_msgs']),
    ):
        if keys:
            raise WeightsInvalidError(
                'weights_mismatch',
                f'{where}: expected the weights to fit config.json, got {kind}: '
                f'{_name_keys(keys)}. The two files do not belong together; copy or pull both.',
            )
    if extra:
        _LOG.warning('%s: unused weights: %s', where, _name_keys(extra))


def _is_beyond_the_last_layer(module: torch.nn.Module, key: str) -> bool:
    """Return whether ``key`` belongs to a numbered layer that the network lacks."""
    for part in key.split('.'):
        children = dict(module.named_children())
        if part not in children:
            return part.isdigit() and bool(children)
        module = children[part]
    return False


def _name_keys(keys: Any) -> str:  # noqa: ANN401 - any collection of keys
    names = sorted(map(str, keys))
    rest = len(names) - _MAX_NAMED_KEYS
    return ', '.join(names[:_MAX_NAMED_KEYS]) + (f' and {rest} more' if rest > 0 else '')


@contextmanager
def _loading_locally() -> Iterator[None]:
    """Let transformers read a checkpoint: one thread at a time, silently, without the internet."""
    with _LOADING, quiet_transformers():
        before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE = before


@contextmanager
def reading_files(reason: str, refusal: str, advice: str) -> Iterator[None]:
    """Let transformers read a checkpoint, and refuse files that it cannot use.

    One thread reads at a time, silently and without the internet.

    Args:
        reason: slug of the error.
        refusal: what cannot be done with which files.
        advice: what to do.

    Raises:
        WeightsInvalidError: transformers raised any exception but one of this package.
    """
    try:
        with _loading_locally():
            yield
    except PerceptionError:
        raise
    except Exception as error:
        # Its texts may have many lines.
        text = ' '.join(str(error).split())
        raise WeightsInvalidError(
            reason, f'{refusal} ({type(error).__name__}: {text}). {advice}'
        ) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the report and progress bar of transformers: errors are reported here."""
    log = transformers.utils.logging
    verbosity, bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bar:
            log.enable_progress_bar()


def write_checkpoint(
    network: Any,  # noqa: ANN401 - transformers publishes no types
    folder: Path,
    preprocessor: Mapping[str, Any],
    card: str,
    tokenizer: Any | None = None,  # noqa: ANN401
) -> None:
    """Write config.json, model.safetensors, preprocessor_config.json, README.md and a tokenizer.

    The folder can be read by `find_checkpoint`, and by every user of the machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with quiet_transformers():
        network.save_pretrained(folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
    text = json.dumps(preprocessor, indent=2, sort_keys=True)
    (folder / PREPROCESSOR).write_text(f'{text}\n', encoding='utf-8')
    (folder / 'README.md').write_text(card, encoding='utf-8')
    for file in folder.iterdir():
        # transformers makes weights readable by their owner only.
        file.chmod(0o644)
