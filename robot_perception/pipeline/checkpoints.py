"""Check that the networks of a configuration are on this machine, before any is loaded."""

from __future__ import annotations

from robot_perception import models
from robot_perception.core import WeightsMissingError
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.networks import networks_needed


def missing_checkpoints(config: PerceptionConfig) -> dict[str, WeightsMissingError]:
    """Return models that a configuration needs and this machine lacks, with the error of each.

    Needs no library of networks, and takes milliseconds.

    Raises:
        ModelError: a checkpoint cannot be used for another reason.
    """
    missing: dict[str, WeightsMissingError] = {}
    # Several stages may have one model, which need not be of use to each of them.
    for stage in networks_needed(config):
        model = config.stage(stage).model
        error = _find_missing(model, stage)
        if error is not None:
            missing[model] = error
    return missing


def _find_missing(model: str, task: str) -> WeightsMissingError | None:
    try:
        if model != models.STUB:
            models.locate_checkpoint(model, task)
    except WeightsMissingError as error:
        # Files of one's own cannot be pulled.
        if error.reason != 'not_downloaded' and models.find_row(model) is None:
            raise
        return error
    return None


def check_checkpoints(config: PerceptionConfig) -> None:
    """Raise one error for all models that this machine lacks.

    Raises:
        WeightsMissingError: at least one is missing.
        ModelError: a checkpoint cannot be used for another reason.
    """
    missing = missing_checkpoints(config)
    if len(missing) == 1:
        raise next(iter(missing.values()))
    if missing:
        raise WeightsMissingError(
            'not_downloaded',
            f'{len(missing)} networks are not on this machine: '
            f'{", ".join(map(_with_size, missing))}. '
            f'Run: robot-perception models pull {_what_to_pull(config, missing)}',
        )


def license_notes(config: PerceptionConfig, *, answers: bool = False) -> tuple[str, ...]:
    """Return a sentence for each network whose license excludes or may exclude commercial use.

    Args:
        config: of the pipeline that loads them.
        answers: whether the network for questions may be loaded too.
    """
    return models.license_notes(used_models(config) if answers else loaded_models(config))


def loaded_models(config: PerceptionConfig) -> tuple[str, ...]:
    """Return the distinct networks that a pipeline of a configuration loads."""
    return tuple(dict.fromkeys(config.stage(stage).model for stage in networks_needed(config)))


def used_models(config: PerceptionConfig) -> tuple[str, ...]:
    """Return the distinct networks of a configuration, that for questions included."""
    describer = config.describer.model
    return tuple(dict.fromkeys([*loaded_models(config), *([describer] if describer else [])]))


def download_mb(config: PerceptionConfig, missing: dict[str, WeightsMissingError]) -> int:
    """Return the size of a download in megabytes, without models that have no known size.

    Args:
        config: whose network for questions is downloaded too.
        missing: from `missing_checkpoints`.
    """
    names, describer = list(missing), config.describer.model
    if describer and _find_missing(describer, models.DESCRIBER) is not None:
        names.append(describer)
    rows = map(models.find_row, names)
    return sum(row.size_mb for row in rows if row is not None)


def _with_size(model: str) -> str:
    row = models.find_row(model)
    return model if row is None else f'{model} ({row.size_mb} MB)'


def _what_to_pull(config: PerceptionConfig, missing: dict[str, WeightsMissingError]) -> str:
    """Return arguments of ``models pull`` that fetch what is missing."""
    standard = PerceptionConfig.from_preset(config.preset)
    if set(missing) <= {standard.stage(stage).model for stage in networks_needed(standard)}:
        return f'--preset {config.preset}'
    return ' '.join(missing)
