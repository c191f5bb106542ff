"""The mark of a recording of the demo world, which the demo networks are made for."""

from __future__ import annotations

from contextlib import closing
import json
from pathlib import Path

from robot_perception.core import SourceError
from robot_perception.sources import BagWriter, is_bag, open_bag, Typestore

DEMO_WORLD_TOPIC = '/truth/demo_world'
_TYPE = 'std_msgs/msg/String'


def write_mark(bag: BagWriter, types: Typestore, seed: int, stamp_ns: int) -> None:
    """Write the message that marks a recording: the seed of its scene as JSON."""
    bag.declare(DEMO_WORLD_TOPIC, _TYPE, latched=True)
    mark = types.types[_TYPE](data=json.dumps({'seed': seed}))
    bag.write(DEMO_WORLD_TOPIC, _TYPE, mark, stamp_ns)


def is_demo_world(spec: str) -> bool:
    """Return whether a path is a recording of the demo world; False if it cannot be read."""
    path = Path(spec).expanduser()
    try:
        if not (path.exists() and is_bag(path)):
            return False
        with closing(open_bag(path)) as bag:
            return any(
                (topic.name, topic.type_name) == (DEMO_WORLD_TOPIC, _TYPE)
                for topic in bag.topics()
            )
    except (OSError, SourceError):
        return False
