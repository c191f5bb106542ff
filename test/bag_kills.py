"""Kills ``robot-perception bag`` at random moments and looks at what is left.

As a program: ``python test/bag_kills.py 50`` kills a short run of the stub preset 50 times.
"""

import argparse
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

FRAMES = 120
ARGUMENTS = ('--preset', 'stub', '--set', 'depth.source=fused', '--split', '10', '--copy-input')


def check_state(output, expected):
    """Assert that a kill has left the whole bag or none, and only whole files; counts them."""
    if output.exists():
        assert digest(output) == expected
    files = list(output.with_name(f'.{output.name}.part').glob('bag/*.mcap'))
    for path in files:
        with Reader(path) as reader:
            assert sum(1 for _ in reader.messages()) == reader.message_count > 0
    return len(files)


def kill_often(folder, kills, seed=0):
    """Kill and go on until that many kills are done; gives how many files each has left."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    command = Command(folder)
    recording, output = folder / 'recording', folder / 'results'
    write_rgbd_bag(recording, generated_frames(FRAMES, (24, 32)))
    call = ('bag', recording, '-o', output, *ARGUMENTS)
    begin = time.monotonic()
    assert command(*call).returncode == 0
    whole_s = time.monotonic() - begin
    expected = digest(output)
    shutil.rmtree(output)
    left = []
    while len(left) < kills:
        program = command.start(*call)
        try:
            program.wait(chance.uniform(0.3, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            program.kill()
            program.communicate()
            left.append(check_state(output, expected))
            # Killed after its last step: the next run begins anew.
            shutil.rmtree(output, ignore_errors=True)
            continue
        _, errors = program.communicate()
        assert program.returncode == 0, errors
        check_state(output, expected)
        shutil.rmtree(output)
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
    print(f'{len(left)} kills, whole files left by each: {left}')


if __name__ == '__main__':
    main()
