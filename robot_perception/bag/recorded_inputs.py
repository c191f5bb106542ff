"""The recordings that a result bag was made of, named in its metadata.yaml.

Results are shown on the images of these recordings, so that no copy of them is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path

from robot_perception.bag.job import BagJob
from robot_perception.sources import BEGIN_NS

_KEY = 'robot_perception.inputs'


def inputs_as_custom_data(job: BagJob, begins_ns: Mapping[Path, int]) -> dict[str, str]:
    """Return the entry of ``custom_data`` for the inputs of a job, relative to its output.

    Args:
        job: the job.
        begins_ns: input -> stamp of its first picture; used of pictures and videos only.
    """
    folder = job.output.absolute()
    paths = [
        job.input_names.get(path) or os.path.relpath(path.absolute(), folder) for path in begins_ns
    ]
    content = {'paths': paths, 'begins_ns': [*begins_ns.values()], 'image_topic': job.wish.image}
    return {_KEY: json.dumps(content)}


def read_inputs(
    folder: Path, custom_data: Mapping[str, str]
) -> tuple[list[tuple[Path, int]], str | None]:
    """Return the inputs of a result bag that are still there, and the image topic if it was given.

    Args:
        folder: of the result bag.
        custom_data: of its metadata.

    Returns:
        Path of each input with the stamp of its first picture, and the topic.
    """
    try:
        content = json.loads(custom_data[_KEY])
        paths = [Path(os.path.normpath(folder.absolute() / path)) for path in content['paths']]
        # Earlier versions took bags only.
        begins_ns = [*map(int, content.get('begins_ns', [BEGIN_NS] * len(paths)))]
        inputs = [*zip(paths, begins_ns, strict=True)]
        topic = content['image_topic']
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return [], None
    existing = [(path, begin_ns) for path, begin_ns in inputs if path.exists()]
    return existing, topic if isinstance(topic, str) else None
