"""What stands in a bag of results, for comparing two of them."""

import hashlib

from rosbags.rosbag2 import Reader


def digest(bag):
    """Hash every file of a bag, names and all."""
    total = hashlib.sha256()
    for path in sorted(bag.iterdir()):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def messages(bag):
    """Give topic -> (time of recording, serialized message) of a whole bag."""
    found = {}
    with Reader(bag) as reader:
        for connection, stamp_ns, data in reader.messages():
            found.setdefault(connection.topic, []).append((stamp_ns, bytes(data)))
    return found
