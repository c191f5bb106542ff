"""Reads the contents of result bags, to compare them."""

import hashlib

from rosbags.rosbag2 import Reader


def digest(bag):
    """Return a hash of the names and contents of all files of a bag."""
    total = hashlib.sha256()
    for path in sorted(bag.iterdir()):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def messages(bag):
    """Return topic -> (time of recording, serialized message) of a bag."""
    found = {}
    with Reader(bag) as reader:
        for connection, stamp_ns, data in reader.messages():
            found.setdefault(connection.topic, []).append((stamp_ns, bytes(data)))
    return found
