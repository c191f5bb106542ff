"""Description of a job: recordings, parameters and output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
import math
from pathlib import Path
import re
from typing import Any

from robot_perception import __version__
from robot_perception.core import ConfigError
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import Storage, TopicWish
from robot_perception.stream import (
    COMPRESSED_DEPTH,
    GROUND,
    Output,
    OUTPUTS,
    published_outputs,
    SCENE,
    SCENE_WITHOUT_DEPTH,
    TIMING,
)

# Without times, equal recordings give equal bags.
REPRODUCIBLE = tuple(output.topic for output in OUTPUTS if output is not TIMING)
# What people keep: all results once, without the clouds, which follow from depth.
SLIM = (
    *('features', COMPRESSED_DEPTH.topic, 'depth/camera_info', 'detections', 'detections_3d'),
    *('semantics/classes', 'scene', 'overlay/compressed', 'markers', 'timing'),
)
CLOUDS = ('points', 'points/objects', 'points/background', *(one.topic for one in GROUND))
_WRITABLE = (COMPRESSED_DEPTH, *OUTPUTS)
_NAME = re.compile(r'(/[A-Za-z_][A-Za-z0-9_]*)+')


@dataclass(frozen=True, slots=True)
class BagJob:
    """Recordings to process, the outputs to write, and where to write them.

    Attributes:
        inputs: bags, pictures, folders of pictures and videos, in the order they are processed.
        output: folder to make.
        config: parameters of the networks.
        wish: topics of the camera, where they are not chosen automatically.
        topics: outputs to write, by their names below ``name``; with ``timing`` the times of each
            frame are written, here and in ``scene``.
        name: full name of the node below which topics are named.
        copy_input: whether the messages of the recordings are copied to the output.
        hfov_deg: horizontal field of view of pictures and videos, degrees; None takes that of the
            EXIF data of a picture, and 60 without.
        start_s, end_s: part of each recording to process, seconds from its beginning.
        every: process every n-th image.
        batch: images that the networks compute together.
        storage: format of the files.
        compress: whether they are compressed (zstd).
        split: images per file; an interrupted run resumes after a complete file.
        force: replace an existing output.
        input_names: input -> how the metadata of the output name it, instead of by its path: for
            copies of recordings, and an output that is moved.
    """

    inputs: tuple[Path, ...]
    output: Path
    config: PerceptionConfig
    wish: TopicWish = field(default_factory=TopicWish)
    topics: tuple[str, ...] = REPRODUCIBLE
    name: str = '/perception'
    copy_input: bool = False
    hfov_deg: float | None = None
    start_s: float = 0.0
    end_s: float = math.inf
    every: int = 1
    batch: int = 1
    storage: Storage = 'mcap'
    compress: bool = False
    split: int = 300
    force: bool = False
    input_names: Mapping[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {output.topic for output in _WRITABLE}
        unknown = sorted(set(self.topics) - known)
        if unknown or not self.topics:
            raise ConfigError(
                'unknown_topic',
                f'topics: expected some of {", ".join(sorted(known))}, got '
                f'{", ".join(unknown) or "none"}.',
            )
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                'bad_name',
                f'name: expected the full name of a node such as /perception, got {self.name!r}.',
            )
        if not 0 <= self.start_s < self.end_s:
            raise ConfigError(
                'out_of_range',
                f'start and end: expected 0 <= start < end, got {self.start_s} and {self.end_s}.',
            )
        for name in ('every', 'batch', 'split'):
            if getattr(self, name) < 1:
                raise ConfigError(
                    'out_of_range', f'{name}: expected at least 1, got {getattr(self, name)}.'
                )
        if self.output.suffix in {'.mcap', '.db3'}:
            raise ConfigError(
                'not_a_folder',
                f'output: expected the name of a folder, since a bag is one, got {self.output}.',
            )
        output = self.output.resolve()
        for path in self.inputs:
            recording = path.resolve()
            if recording.is_relative_to(output) or output.is_relative_to(recording):
                raise ConfigError(
                    'overlapping_paths',
                    f'output: expected a folder apart from the inputs, got {self.output}, with '
                    f'the input {path}. Name another output.',
                )

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Outputs to write, in the order in which the node publishes them.

        Those that the configuration does not give are left out. Where depth is written compressed,
        ``scene`` holds none.
        """
        given = published_outputs(_WRITABLE, self.config)
        chosen = tuple(output for output in given if output.topic in self.topics)
        if COMPRESSED_DEPTH not in chosen:
            return chosen
        return tuple(SCENE_WITHOUT_DEPTH if output is SCENE else output for output in chosen)

    def identity(self) -> dict[str, Any]:
        """Return everything that the result depends on, as JSON values."""
        return {
            'software': _software(__version__),
            'inputs': [list(_file_identity(path)) for path in self.inputs],
            'parameters': dict(self.config.to_values()),
            'wish': asdict(self.wish),
            'topics': [output.topic for output in self.outputs],
            'name': self.name,
            'copy_input': self.copy_input,
            'hfov': self.hfov_deg,
            'part': [self.start_s, str(self.end_s), self.every],
            'batch': self.batch,
            'files': [self.storage, self.compress, self.split],
        }


@cache
def _software(version: str) -> str:
    """Hash the code of this package: a run must not be resumed with changed code."""
    folder = Path(__file__).resolve().parents[1]
    total = sha256(version.encode())
    for path in sorted(folder.rglob('*.py')):
        total.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def _file_identity(path: Path) -> Iterator[list[str | int]]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        facts = file.stat()
        yield [str(file.resolve()), facts.st_size, facts.st_mtime_ns]
