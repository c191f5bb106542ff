"""The recordings that a result bag was made of, named in its metadata.yaml.

Results are shown on the images of these recordings, so that no copy of them is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path

from robot_perception.bag.job import BagJob

_KEY = 'robot_perception.inputs'


def inputs_as_custom_data(job: BagJob) -> dict[str, str]:
    """Return the entry of ``custom_data`` for the inputs of a job, relative to its output."""
    folder = job.output.absolute()
    paths = [os.path.relpath(path.absolute(), folder) for path in job.inputs]
    return {_KEY: json.dumps({'paths': paths, 'image_topic': job.wish.image})}


def read_inputs(folder: Path, custom_data: Mapping[str, str]) -> tuple[list[Path], str | None]:
    """Return the inputs of a result bag that are still there, and the image topic if it was given.

    Args:
        folder: of the result bag.
        custom_data: of its metadata.
    """
    try:
        content = json.loads(custom_data[_KEY])
        paths = [Path(os.path.normpath(folder.absolute() / path)) for path in content['paths']]
        topic = content['image_topic']
    except (KeyError, TypeError, ValueError, RecursionError):
        return [], None
    return [path for path in paths if path.exists()], topic if isinstance(topic, str) else None
