"""Derive what is wrong with a machine from plain facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import re

from robot_perception.nodes import Cause, SHARED_MEMORY, SHARED_MEMORY_BYTES

# As in setup.py; the upper end is not included.
MIN_PYTHON = (3, 10)
SUPPORTED = {
    'numpy': ('1.26', ''),
    'opencv-python-headless': ('4.8', ''),
    'torch': ('2.6', ''),
    'transformers': ('5', '6'),
    'safetensors': ('0.5', ''),
}
MEBIBYTE = 2**20
MEGABYTE = 1_000_000
_MIN_FREE_BYTES = 1000 * MEGABYTE
_MIN_FILES = 1024


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What was found on a machine.

    Attributes:
        python: version.
        versions: library -> installed version, None if it is not installed.
        has_nvidia: whether there is a driver of an NVIDIA GPU.
        torch_has_cuda, torch_uses_gpu: of the installed torch; None if unknown.
        shared_bytes, shared_free_bytes: size of /dev/shm; None without one.
        leftovers: names of segments in it whose owner is gone.
        leftover_bytes: their size.
        cache: folder of the models.
        cache_free_bytes: free space of its disk.
        missing_bytes: size of the models of the configuration that are missing.
        open_files: limit for this process.
        profile: file that the variable for Fast DDS names and that does not exist, else empty.
    """

    python: tuple[int, ...]
    versions: Mapping[str, str | None]
    has_nvidia: bool = False
    torch_has_cuda: bool | None = None
    torch_uses_gpu: bool | None = None
    shared_bytes: int | None = None
    shared_free_bytes: int | None = None
    leftovers: tuple[str, ...] = ()
    leftover_bytes: int = 0
    cache: str = ''
    cache_free_bytes: int | None = None
    missing_bytes: int = 0
    open_files: int = _MIN_FILES
    profile: str = ''


def judge_machine(facts: MachineFacts) -> Iterator[Cause]:
    """Yield what is wrong with a machine."""
    if facts.python < MIN_PYTHON:
        found, needed = ('.'.join(map(str, one)) for one in (facts.python, MIN_PYTHON))
        yield Cause(
            'python_version',
            'Python',
            f'expected at least {needed}, got {found}.',
            'Create the virtual environment with a newer one.',
            f'python{needed} -m venv .venv',
        )
    for library, version in facts.versions.items():
        yield from _judge_version(library, version)
    yield from _judge_gpu(facts)
    yield from _judge_shared_memory(facts)
    yield from _judge_disk(facts)
    if facts.open_files < _MIN_FILES:
        yield Cause(
            'open_files',
            'ulimit -n',
            f'expected at least {_MIN_FILES}, got {facts.open_files}; DDS opens several files for '
            'each participant.',
            'Raise it in the shell or unit that starts ROS.',
            f'ulimit -n {_MIN_FILES}',
        )
    if facts.profile:
        yield Cause(
            'missing_profile',
            'Fast DDS',
            f'its profile {facts.profile} does not exist, so that the defaults hold.',
            'Correct the variable or unset it; this package then uses its own profile.',
            'unset FASTDDS_DEFAULT_PROFILES_FILE FASTRTPS_DEFAULT_PROFILES_FILE',
        )


def _judge_version(library: str, version: str | None) -> Iterator[Cause]:
    low, high = SUPPORTED[library]
    wanted = f'{library}>={low}' + (f',<{high}' if high else '')
    command = f"pip install '{wanted}'"
    if version is None:
        yield Cause('missing_library', library, f'expected {wanted}, got none.', '', command)
    elif _numbers(version) < _numbers(low) or (high and _numbers(version) >= _numbers(high)):
        yield Cause('library_version', library, f'expected {wanted}, got {version}.', '', command)


def _judge_gpu(facts: MachineFacts) -> Iterator[Cause]:
    if not facts.has_nvidia or facts.torch_uses_gpu is not False:
        return
    if facts.torch_has_cuda:
        yield Cause(
            'gpu_unused',
            'torch',
            'there is an NVIDIA driver, and torch with CUDA cannot use a GPU.',
            'The driver may be too old for this torch, or a container was started without its '
            'GPUs (docker run --gpus all).',
            'nvidia-smi',
        )
    else:
        yield Cause(
            'gpu_unused',
            'torch',
            'there is an NVIDIA driver, and torch is built without CUDA.',
            'PyPI has the build with CUDA for x86-64, which takes several GB; PIP_EXTRA_INDEX_URL '
            'must not name the CPU index of PyTorch. For a Jetson NVIDIA has its own.',
            'env -u PIP_EXTRA_INDEX_URL pip install --force-reinstall torch',
        )


def _judge_shared_memory(facts: MachineFacts) -> Iterator[Cause]:
    free, size = facts.shared_free_bytes, facts.shared_bytes
    if free is not None and size is not None and free < SHARED_MEMORY_BYTES:
        yield Cause(
            'small_shared_memory',
            str(SHARED_MEMORY),
            f'{free // MEBIBYTE} of {size // MEBIBYTE} MiB are free; with less than '
            f'{SHARED_MEMORY_BYTES // MEBIBYTE} images go through UDP and can be lost.',
            'In a container use docker run --shm-size 1g.',
            'sudo mount -o remount,size=1g /dev/shm',
        )
    if facts.leftovers:
        yield Cause(
            'shared_memory_leftovers',
            str(SHARED_MEMORY),
            f'{len(facts.leftovers)} segments of processes that were killed take '
            f'{facts.leftover_bytes / MEBIBYTE:.0f} MiB.',
            'No process has them locked. The next start of a node of this package removes them, '
            'and so does this command, also while nodes run.',
            'python3 -c "from robot_perception.nodes import transport; '
            'print(transport.remove_stale_segments())"',
        )


def _judge_disk(facts: MachineFacts) -> Iterator[Cause]:
    free = facts.cache_free_bytes
    if free is None:
        return
    text = f'{facts.cache}: {free // MEGABYTE} MB free'
    remedy = 'Free space, or let HF_HOME name a folder on another disk.'
    command = f'du -sh {facts.cache}/*'
    if free < facts.missing_bytes:
        needed = facts.missing_bytes // MEGABYTE
        yield Cause(
            'disk_full', 'models', f'{text}, {needed} MB of models are missing.', remedy, command
        )
    elif free < _MIN_FREE_BYTES:
        yield Cause('disk_space', 'models', f'{text}.', remedy, command)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r'\d+', version.partition('+')[0])[:3]]
    return (*numbers, 0, 0)[:3]
