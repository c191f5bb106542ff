"""Reasons of failed downloads, with what helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import difflib
import errno
from pathlib import Path

from robot_perception.core import ModelError, UnknownModelError
from robot_perception.models.catalogue import known_models

_MEGABYTE = 10**6
_HTTP_LIBRARIES = ('httpx', 'httpx2', 'httpcore', 'requests', 'urllib3')


def disk_full(model: str, needed: int, free: int, folder: Path) -> ModelError:
    """Return the error of a download of ``needed`` bytes into a folder with ``free`` bytes."""
    lacking = max(needed - free, 0) // _MEGABYTE + 1
    return ModelError(
        'disk_full',
        f'{model}: expected {needed // _MEGABYTE + 1} MB of space for the download, got '
        f'{free // _MEGABYTE} MB in {folder}. Free {lacking} MB, or set HF_HOME to a folder on '
        'another disk.',
    )


def explain(error: Exception, model: str, revision: str) -> ModelError:
    """Return the error to raise for one of the client of the Hugging Face Hub."""
    from huggingface_hub import constants  # noqa: PLC0415 - slow

    causes = tuple(_chain(error))
    if (refused := _explain_refusal(causes, model, revision)) is not None:
        return refused
    if any(getattr(one, 'errno', None) in {errno.ENOSPC, errno.EDQUOT} for one in causes):
        return ModelError(
            'disk_full',
            f'{model}: the disk is full. Free space in {constants.HF_HUB_CACHE}, or set HF_HOME '
            'to a folder on another disk.',
        )
    reason = ' '.join(str(causes[-1]).split()) or type(causes[-1]).__name__
    if any(_is_of_network(one) for one in causes):
        return ModelError(
            'no_network',
            f'{model}: no network: {constants.ENDPOINT} cannot be reached ({reason}). Check the '
            'connection and HTTPS_PROXY, or copy the folder from another machine and give its '
            'path as model.',
        )
    return ModelError(
        'download_failed',
        f'{model}: expected to download revision {revision} from {constants.ENDPOINT}, got '
        f'{type(error).__name__}: {reason}. Try again later, or copy the folder from another '
        'machine and give its path as model.',
    )


def _explain_refusal(
    causes: Sequence[BaseException], model: str, revision: str
) -> ModelError | None:
    """Return the error for a request that the Hub, or the client itself, does not serve."""
    from huggingface_hub import constants, errors  # noqa: PLC0415 - slow

    site = f'{constants.ENDPOINT}/{model}'
    if any(isinstance(one, errors.GatedRepoError) for one in causes):
        return ModelError(
            'terms_not_accepted',
            f'{model}: its owner gives it only to those who accept the terms. Accept the terms at '
            f'{site}, then run "hf auth login" and pull again.',
        )
    if any(isinstance(one, errors.RevisionNotFoundError) for one in causes):
        return UnknownModelError(
            'unknown_revision',
            f'{model}: expected a branch, tag or commit that exists, got {revision!r}. '
            f'Look at {site}/commits/main.',
        )
    if any(isinstance(one, errors.RepositoryNotFoundError) for one in causes):
        nearest = difflib.get_close_matches(model, known_models(), 1)
        return UnknownModelError(
            'unknown_model',
            f'{model}: expected a public model at {constants.ENDPOINT}, got none of that name, or '
            'a private one. '
            + (f'Nearest in the catalogue: {nearest[0]}. ' if nearest else '')
            + 'Check the spelling; for a private one run "hf auth login".',
        )
    if any(isinstance(one, errors.OfflineModeIsEnabled) for one in causes):
        return ModelError(
            'offline',
            f'{model}: no network may be used, because HF_HUB_OFFLINE is set. Unset it, or copy '
            'the folder from another machine and give its path as model.',
        )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _is_of_network(error: BaseException) -> bool:
    # The client has changed its library for HTTP, whose errors have no common class.
    library = type(error).__module__.partition('.')[0]
    return library in _HTTP_LIBRARIES or isinstance(error, ConnectionError | TimeoutError)
