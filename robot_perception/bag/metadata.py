"""Merging of the metadata.yaml of several files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

NAME = 'metadata.yaml'
_ROOT = 'rosbag2_bagfile_information'


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read the metadata of a bag of one file."""
    text = (folder / NAME).read_text(encoding='utf-8')
    found: dict[str, Any] = yaml.safe_load(text)[_ROOT]
    return found


def joined_metadata(parts: Sequence[dict[str, Any]]) -> str:
    """Return the metadata.yaml of all files together, in their order."""
    begins = [_begin_ns(part) for part in parts]
    ends = [_begin_ns(part) + part['duration']['nanoseconds'] for part in parts]
    topics: dict[str, dict[str, Any]] = {}
    for part in parts:
        for row in part['topics_with_message_count']:
            name = row['topic_metadata']['name']
            known = topics.setdefault(name, {**row, 'message_count': 0})
            known['message_count'] += row['message_count']
    whole = {
        **parts[0],
        'relative_file_paths': [path for part in parts for path in part['relative_file_paths']],
        'duration': {'nanoseconds': max(ends) - min(begins)},
        'starting_time': {'nanoseconds_since_epoch': min(begins)},
        'message_count': sum(part['message_count'] for part in parts),
        'topics_with_message_count': list(topics.values()),
        'files': [file for part in parts for file in part['files']],
    }
    return yaml.safe_dump({_ROOT: whole}, sort_keys=False)


def _begin_ns(part: dict[str, Any]) -> int:
    return int(part['starting_time']['nanoseconds_since_epoch'])
