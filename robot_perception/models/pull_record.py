"""What was downloaded: the commit of a model and the checksums of its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import hashlib
import json
from pathlib import Path
import re

from robot_perception.core import WeightsInvalidError, write_bytes

_RECORD = 'robot_perception.json'
_CHUNK_BYTES = 2**20
_HUB_ID = re.compile(r'[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}')


@dataclass(frozen=True, slots=True)
class PullRecord:
    """A download that was complete and verified.

    Attributes:
        revision: the commit, 40 hexadecimal digits.
        sha256: name of a file -> its checksum, 64 hexadecimal digits.
        license: as the Hub stated it then; empty if it did not.
    """

    revision: str
    sha256: Mapping[str, str] = field(default_factory=dict)
    license: str = ''


def is_hub_id(model: str) -> bool:
    """Return whether a name has the form of an id of the Hugging Face Hub: owner/name."""
    return _HUB_ID.fullmatch(model) is not None


def repository_folder(cache: Path, model: str) -> Path:
    """Return the folder of a model in the cache of the Hugging Face Hub."""
    return cache / f'models--{model.replace("/", "--")}'


def snapshot_folder(cache: Path, model: str, revision: str) -> Path:
    """Return the folder of the files of one commit."""
    return repository_folder(cache, model) / 'snapshots' / revision


def read_record(cache: Path, model: str) -> PullRecord | None:
    """Return the record of the last download of a model, None if there is none."""
    try:
        document = json.loads(
            (repository_folder(cache, model) / _RECORD).read_text(encoding='utf-8')
        )
        # Those of earlier versions have no license.
        stated = str(document.get('license', ''))
        return PullRecord(str(document['revision']), dict(document['sha256']), stated)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def recorded_models(cache: Path) -> Iterator[tuple[str, PullRecord]]:
    """Yield every model with a record, by its id."""
    for path in sorted(cache.glob(f'models--*--*/{_RECORD}')):
        model = path.parent.name.removeprefix('models--').replace('--', '/', 1)
        record = read_record(cache, model)
        if record is not None:
            yield model, record


def write_record(cache: Path, model: str, record: PullRecord) -> None:
    """Write the record beside the downloaded files; raise OutputError if that is refused."""
    document = {
        'revision': record.revision,
        'sha256': dict(record.sha256),
        'license': record.license,
    }
    text = json.dumps(document, indent=2, sort_keys=True)
    write_bytes(repository_folder(cache, model) / _RECORD, f'{text}\n'.encode())


def file_sha256(path: Path) -> str:
    """Return the checksum of a file, 64 hexadecimal digits; raise OSError if it is unreadable."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def check_sha256(folder: Path, sha256: Mapping[str, str], where: str, remedy: str) -> None:
    """Compare files with their checksums; files that are not there are left out.

    Raises:
        WeightsInvalidError: a file has another checksum, or cannot be read.
    """
    for name, expected in sha256.items():
        path = folder / name
        if not path.is_file():
            continue
        try:
            found = file_sha256(path)
        except OSError as error:
            found = error.strerror or str(error)
        if found != expected:
            raise WeightsInvalidError(
                'wrong_checksum',
                f'{where}: expected {name} with the SHA-256 {expected}, got {found}: the file is '
                f'damaged or was replaced. {remedy}',
            )
