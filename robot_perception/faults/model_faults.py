"""Row 22: model files that want to run code, or are not what they claim to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import pickle
import shutil
import sys
import tempfile

from robot_perception.core import ModelError
from robot_perception.faults.outcome import Trials
from robot_perception.models import build_depth_estimator, DEMO_FOLDER

_CHECKPOINT = DEMO_FOLDER / 'depth_anything'
_CONFIG, _WEIGHTS = 'config.json', 'model.safetensors'
_HEADER_BYTES = 200 * 2**20
_CANARY = 'canary'
# Audit events of the first connection and of a name to be looked up.
_NETWORK_EVENTS = ('socket.connect', 'socket.getaddrinfo')


class _Canary:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        """Return the call that creates the file."""
        return os.mkdir, (str(self.path),)


def _pickled(folder: Path) -> None:
    (folder / _WEIGHTS).unlink()
    (folder / 'pytorch_model.bin').write_bytes(pickle.dumps(_Canary(folder / _CANARY)))


def _pickle_by_another_name(folder: Path) -> None:
    (folder / _WEIGHTS).write_bytes(pickle.dumps(_Canary(folder / _CANARY)))


def _remote_code(folder: Path) -> None:
    code = f'import os\nos.mkdir({str(folder / _CANARY)!r})\n'
    (folder / 'modeling_hostile.py').write_text(code, encoding='utf-8')
    _change_config(folder, auto_map={'AutoModel': 'modeling_hostile.Hostile'})


def _remote_backbone(folder: Path) -> None:
    _change_config(folder, backbone='organization/name', backbone_config=None)


def _change_config(folder: Path, **values: object) -> None:
    config = json.loads((folder / _CONFIG).read_text(encoding='utf-8'))
    text = json.dumps({**config, **values})
    (folder / _CONFIG).write_text(text, encoding='utf-8')


def _flipped_bit(folder: Path) -> None:
    """Flip the highest bit of the length of the header."""
    data = bytearray((folder / _WEIGHTS).read_bytes())
    data[7] ^= 0x80
    (folder / _WEIGHTS).write_bytes(data)


def _huge_header(folder: Path) -> None:
    head = _HEADER_BYTES.to_bytes(8, 'little')
    with (folder / _WEIGHTS).open('wb') as file:
        file.write(head + b'{')
        file.truncate(_HEADER_BYTES + len(head))


_FAULTS = (
    *(_pickled, _pickle_by_another_name, _remote_code, _remote_backbone),
    *(_flipped_bit, _huge_header),
)


def load_hostile_models(trials: int, seed: int) -> Trials:
    """Load checkpoints that are hostile; each must be refused, without code or network."""
    del seed  # nothing is random
    failures: list[str] = []
    refused = 0
    with tempfile.TemporaryDirectory() as name, _watch_network() as connections:
        for trial in range(trials):
            fault = _FAULTS[trial % len(_FAULTS)]
            folder = Path(name) / str(trial)
            shutil.copytree(_CHECKPOINT, folder)
            fault(folder)
            try:
                build_depth_estimator(str(folder), device='cpu')
            except ModelError:
                refused += 1
            else:
                failures.append(f'{fault.__name__}: loaded')
            if (folder / _CANARY).exists():
                failures.append(f'{fault.__name__}: its code has run')
            shutil.rmtree(folder)
        failures += [f'the network was used: {event}' for event in connections]
    figures = {'refused': float(refused), 'connections': float(len(connections))}
    return Trials(trials, tuple(failures), figures)


@contextmanager
def _watch_network() -> Iterator[list[str]]:
    """Collect the uses of the network in the body."""
    events: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching[0] and event in _NETWORK_EVENTS:
            events.append(f'{event} {arguments[1:] or arguments}')

    sys.addaudithook(hook)
    try:
        yield events
    finally:
        # An audit hook cannot be removed.
        watching[0] = False
