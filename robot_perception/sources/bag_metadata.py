"""The metadata.yaml of a bag lists the files that belong to it. The files decide the rest."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePath
from typing import NamedTuple

import yaml

from robot_perception.sources.storage import Definition, offered_qos

METADATA_NAME = 'metadata.yaml'
# A thousand files and topics have less.
_MAX_BYTES = 4 * 2**20


class Metadata(NamedTuple):
    """Content of a metadata.yaml.

    Attributes:
        files: names of the files, in the order of recording.
        counts: messages by topic.
        definitions: of the topics, without text.
        custom: text by key, as the recorder chose it.
    """

    files: tuple[str, ...]
    counts: Mapping[str, int]
    definitions: Mapping[str, Definition]
    custom: Mapping[str, str]


def read_metadata(folder: Path) -> Metadata | None:
    """Read the metadata of a bag; None if there are none that can be read."""
    path = folder / METADATA_NAME
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        return None
    with suppress(OSError, UnicodeDecodeError):
        return _parse(path.read_text(encoding='utf-8'))
    return None


# A bag is opened several times, and the YAML of 20 topics takes tens of milliseconds.
@lru_cache(maxsize=8)
def _parse(text: str) -> Metadata | None:
    try:
        # Not libyaml: it overflows the stack of the process at deeply nested text.
        content = yaml.load(text, yaml.SafeLoader)
        found = content['rosbag2_bagfile_information']
        topics = {
            str(row['topic_metadata']['name']): (row['message_count'], row['topic_metadata'])
            for row in found['topics_with_message_count']
        }
        return Metadata(
            # Early versions have the name of the folder before that of the file.
            files=tuple(PurePath(name).name for name in found['relative_file_paths']),
            counts={name: int(count) for name, (count, _) in topics.items()},
            definitions={name: _definition(values) for name, (_, values) in topics.items()},
            custom=dict(found.get('custom_data') or {}),
        )
    except Exception:  # noqa: BLE001 - text of any form raises anything
        return None


def _definition(values: Mapping[str, object]) -> Definition:
    digest = values.get('type_description_hash')
    return Definition('', str(digest or ''), offered_qos(values.get('offered_qos_profiles')))
