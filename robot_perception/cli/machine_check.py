"""Check this machine for ``robot-perception doctor``, without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
import os
from pathlib import Path
import platform
import resource
import sys
from typing import TypeVar

from robot_perception import models
from robot_perception.cli.doctor_machine import (
    judge_machine,
    MachineFacts,
    MEBIBYTE,
    MEGABYTE,
    SUPPORTED,
)
from robot_perception.core import ModelError, Stage
from robot_perception.nodes import Cause, Examination, find_stale_segments, SHARED_MEMORY
from robot_perception.pipeline import PerceptionConfig

_T = TypeVar('_T')
_OPENCV = 'opencv-python-headless'


def examine_machine(config: PerceptionConfig) -> Examination:
    """Check this machine for a configuration; a check that fails is named, and stops no other."""
    unchecked: dict[str, str] = {}
    attempt = partial(_attempt, unchecked)
    versions = {name: _version(name) for name in SUPPORTED}
    uses_networks = any(_needs_network(config, stage) for stage in Stage)
    causes: list[Cause] = []
    cuda: tuple[bool, bool] | None = None
    if uses_networks and versions['torch'] is not None:
        try:
            cuda = models.describe_cuda()
            models.check_installation()
        except Exception as error:  # noqa: BLE001 - a broken library raises anything
            causes += _broken_library(error)
            unchecked['models'] = 'the libraries that read them have to work first'
        else:
            causes += attempt('models', lambda: tuple(_examine_networks(config))) or ()
    missing = [
        models.find_row(cause.subject) for cause in causes if cause.reason == 'missing_model'
    ]
    missing_bytes = sum(row.size_mb * MEGABYTE for row in missing if row is not None)
    has_cuda, uses_gpu = cuda or (None, None)
    has_cache = uses_networks and versions['transformers'] is not None
    cache = attempt('model cache', models.cache_folder) if has_cache else None
    free = None if cache is None else attempt('disk', partial(_free_bytes, cache))
    shared = attempt('shared memory', lambda: os.statvfs(SHARED_MEMORY))
    leftovers = attempt('shared memory leftovers', find_stale_segments)
    segments = leftovers or []
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    facts = MachineFacts(
        python=tuple(sys.version_info[:3]),
        # Without networks numpy and OpenCV are enough.
        versions={
            name: version
            for name, version in versions.items()
            if uses_networks or name in {'numpy', _OPENCV}
        },
        has_nvidia=Path('/dev/nvidiactl').exists(),
        torch_has_cuda=has_cuda,
        torch_uses_gpu=uses_gpu,
        shared_bytes=shared.f_blocks * shared.f_frsize if shared else None,
        shared_free_bytes=shared.f_bavail * shared.f_frsize if shared else None,
        leftovers=tuple(path.name for path in segments),
        leftover_bytes=sum(_size(path) for path in segments),
        cache=str(cache or ''),
        cache_free_bytes=free,
        missing_bytes=missing_bytes,
        open_files=sys.maxsize if soft == resource.RLIM_INFINITY else soft,
        profile=_missing_profile(),
    )
    return Examination((*causes, *judge_machine(facts)), unchecked, _found(facts, config))


def _attempt(unchecked: dict[str, str], name: str, check: Callable[[], _T]) -> _T | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever is broken here is what is looked for
        unchecked[name] = f'{type(error).__name__}: {error}'
        return None


def _needs_network(config: PerceptionConfig, stage: Stage) -> bool:
    section = config.stage(stage)
    is_used = stage is not Stage.DEPTH or config.depth.source.uses_network
    return bool(section.enabled and is_used and section.model != models.STUB)


def _broken_library(error: Exception) -> Iterator[Cause]:
    if not isinstance(error, ModelError):
        text = f'it cannot be imported: {type(error).__name__}: {error}'
        command = 'pip install --force-reinstall torch'
        yield Cause('broken_library', 'torch', text, 'Install it again.', command)
    elif error.reason == 'broken_library':
        command = 'pip uninstall -y torchvision'
        yield Cause('broken_library', 'torchvision', str(error), '', command)
    # A missing library and one of another version are found by their versions.


def _examine_networks(config: PerceptionConfig) -> Iterator[Cause]:
    try:
        models.check_device(config.device)
    except (ModelError, ValueError) as error:
        yield Cause('missing_device', config.device, str(error))
    for stage in Stage:
        model = config.stage(stage).model
        if not _needs_network(config, stage):
            continue
        try:
            models.find_checkpoint(model, stage)
        except ModelError as error:
            command = f'robot-perception models pull {model}' if models.find_row(model) else ''
            yield Cause('missing_model', model, str(error), '', command, detail=error.reason)


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        pass
    if library != _OPENCV:
        return None
    try:
        # OpenCV has several packages, and that of Debian has no metadata.
        import cv2  # noqa: PLC0415 - slow
    except ImportError:
        return None
    return str(cv2.__version__)


def _free_bytes(folder: Path) -> int:
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    space = os.statvfs(existing)
    return space.f_bavail * space.f_frsize


def _size(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _missing_profile() -> str:
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        value = os.environ.get(name, '')
        if value and not Path(value).is_file():
            return value
    return ''


def _found(facts: MachineFacts, config: PerceptionConfig) -> dict[str, str]:
    """Describe what was found, for people."""
    gpu = {True: 'CUDA can be used', False: 'no GPU is used', None: 'not asked for CUDA'}
    found = {
        'Python': f'{platform.python_version()} on {platform.platform()}',
        **{name: version or 'not installed' for name, version in facts.versions.items()},
    }
    if facts.versions.get('torch'):
        found['torch'] += f', {gpu[facts.torch_uses_gpu]}'
    names = [str(config.stage(stage).model) for stage in Stage if config.stage(stage).enabled]
    found['models'] = ', '.join(dict.fromkeys(names))
    if facts.shared_bytes is not None and facts.shared_free_bytes is not None:
        found[str(SHARED_MEMORY)] = (
            f'{facts.shared_free_bytes // MEBIBYTE} of {facts.shared_bytes // MEBIBYTE} MiB free'
        )
    if facts.cache_free_bytes is not None:
        found['model cache'] = f'{facts.cache}, {facts.cache_free_bytes // MEGABYTE} MB free'
    found['open files'] = 'unlimited' if facts.open_files == sys.maxsize else str(facts.open_files)
    return found
