"""Files of compiled networks and of the verdicts on them, kept between runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import functools
import hashlib
import importlib.metadata
import json
import logging
import os
from pathlib import Path
import platform
from typing import Any

import torch

from robot_perception.core import OutputError, replacing_file
from robot_perception.models.families.interfaces import NamedNetwork

_LOG = logging.getLogger(__name__)
_VERSIONS = ('torch', 'transformers')
_DIGEST_BYTES = 32


def compiled_folder() -> Path:
    """Return the folder of compiled networks, which can be deleted at any time."""
    base = os.environ.get('XDG_CACHE_HOME', '')
    root = Path(base) if Path(base).is_absolute() else Path.home() / '.cache'
    return root / 'robot_perception' / 'compiled'


class CompiledFiles:
    """Reads and writes the files of one network in one backend.

    A file belongs to weights, configuration, shapes of inputs, backend, versions, code and
    processor, and is not found if any of these differs. Every file starts with the digest of its
    content, since libraries may crash on damaged files.
    """

    def __init__(self, network: NamedNetwork, backend: str, libraries: Iterable[str]) -> None:
        """Compute the part of the key that does not depend on the shapes of inputs."""
        versions = {name: importlib.metadata.version(name) for name in (*_VERSIONS, *libraries)}
        parts = (
            network.name,
            hash_weights(network.network),
            network.network.config.to_json_string(),
            backend,
            versions,
            _hash_code(),
            _processor(),
        )
        self._key = json.dumps(parts, sort_keys=True)
        self._label = backend.partition(' ')[0]

    def path(self, shapes: object, suffix: str) -> Path:
        """Return the path of a file for inputs of ``shapes``."""
        key = hashlib.sha256(f'{self._key}{shapes}'.encode()).hexdigest()[:24]
        return compiled_folder() / f'{self._label}-{key}.{suffix}'

    def read(self, shapes: object, suffix: str) -> bytes | None:
        """Return the content of a file, None if there is none or it is damaged."""
        path = self.path(shapes, suffix)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return content
        _LOG.warning('%s is damaged and is written again', path)
        return None

    def write(self, shapes: object, suffix: str, content: bytes) -> None:
        """Write a file, replacing it atomically; a failure is logged, since it only costs time."""
        path = self.path(shapes, suffix)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing_file(path) as part:
                part.write_bytes(hashlib.sha256(content).digest() + content)
        except (OSError, OutputError) as error:
            _LOG.warning('a compiled network is not kept for the next start: %s', error)

    def read_record(self, shapes: object) -> Mapping[str, Any]:
        """Return the record kept beside the compiled network, empty if there is none."""
        content = self.read(shapes, 'check')
        if content is None:
            return {}
        record: Mapping[str, Any] = json.loads(content)
        return record

    def write_record(self, shapes: object, record: Mapping[str, object]) -> None:
        """Write the record beside the compiled network."""
        self.write(shapes, 'check', json.dumps(record).encode())


def hash_weights(network: torch.nn.Module) -> str:
    """Return a hash of all weights."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@functools.cache
def _hash_code() -> str:
    """Return a hash of the code that decides what is compiled."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob('*.py')):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _processor() -> str:
    """Return the processor's model and instructions."""
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        lines = []
    named = [line for line in lines if line.startswith(('model name', 'flags', 'Features'))]
    return '\n'.join([platform.machine(), *sorted(set(named))])
