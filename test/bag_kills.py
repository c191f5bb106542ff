"""Kills ``robot-perception bag`` at random times and checks the files that remain.

As a program: ``python test/bag_kills.py 50`` kills a short run of the stub preset 50 times.
"""

import argparse
import math
from pathlib import Path
import random
import shutil
import subprocess
import tempfile
import time

from bag_results import digest
from bags import generated_frames, write_rgbd_bag
from commands import Command
from rosbags.rosbag2 import Reader

from robot_perception.bag import SLIM

FRAMES = 120
# Measured times are never the same twice.
TOPICS = [topic for topic in SLIM if topic != 'timing']
ARGUMENTS = (
    *('--preset', 'stub', '--set', 'depth.source=fused', '--split', '10', '--copy-input'),
    *('--topics', *TOPICS),
)


def check_state(output, expected):
    """Assert that after a kill the bag is complete or absent, and return its complete files."""
    if output.exists():
        assert digest(output) == expected
    files = list(output.with_name(f'.{output.name}.part').glob('bag/*.mcap'))
    for path in files:
        with Reader(path) as reader:
            assert sum(1 for _ in reader.messages()) == reader.message_count > 0
    return len(files)


def kill_often(folder, kills, seed=0):
    """Kill and resume ``kills`` times; returns how many complete files each kill left."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    command = Command(folder)
    recording, output = folder / 'recording', folder / 'results'
    write_rgbd_bag(recording, generated_frames(FRAMES, (24, 32)))
    call = ('bag', recording, '-o', output, *ARGUMENTS)
    whole_s = math.inf
    # The first run also reads libraries from the disk.
    for _ in range(2):
        shutil.rmtree(output, ignore_errors=True)
        begin = time.monotonic()
        assert command(*call).returncode == 0
        whole_s = min(whole_s, time.monotonic() - begin)
    expected = digest(output)
    shutil.rmtree(output)
    left = []
    for _ in range(20 * kills):
        if len(left) == kills:
            break
        program = command.start(*call)
        try:
            program.wait(rng.uniform(0.3, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            program.kill()
            program.communicate()
            left.append(check_state(output, expected))
            # Killed after its last step: the next run starts over.
            shutil.rmtree(output, ignore_errors=True)
            continue
        _, errors = program.communicate()
        assert program.returncode == 0, errors
        check_state(output, expected)
        shutil.rmtree(output)
    assert len(left) == kills, f'{whole_s:.1f} s is longer than any later run takes'
    assert command(*call).returncode == 0
    assert digest(output) == expected
    assert not output.with_name('.results.part').exists()
    return left


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('kills', type=int)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        left = kill_often(Path(folder), arguments.kills, arguments.seed)
    print(f'{len(left)} kills, complete files left by each: {left}')


if __name__ == '__main__':
    main()
