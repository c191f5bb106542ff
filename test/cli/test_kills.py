"""Commands killed at any moment: the old output or none, and the next run clears up."""

import hashlib
import random
import subprocess
import time

import pytest

from robot_perception.world import record

pytestmark = pytest.mark.slow

STUB = ('--preset', 'stub')
CALLS = {
    'world record': ('world', 'record', 'out', '--frames', '20', '--size', '64x48'),
    'export': ('export', 'recording', '-o', 'out', *STUB),
    'view --html': ('view', 'recording', '--html', 'out', *STUB),
    'evaluate': ('evaluate', '--world', '900001:900004', '--size', '64x48', '-o', 'out', *STUB),
}


def digest(folder):
    """Return names and contents of the files of a folder, and which folder it is."""
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    content = hashlib.sha256(b''.join(path.read_bytes() for path in files)).hexdigest()
    return folder.stat().st_ino, [path.relative_to(folder) for path in files], content


@pytest.mark.parametrize('name', CALLS)
def test_a_killed_command_leaves_the_old_output_or_none(command, name):
    rng = random.Random(name)  # noqa: S311 - no secret
    if 'recording' in CALLS[name]:
        record(command.folder / 'recording', 900_001, 12, (48, 64))
    output = command.folder / 'out'
    begin_s = time.monotonic()
    done = command(*CALLS[name])
    whole_s = time.monotonic() - begin_s
    assert done.returncode == 0, done.stderr
    before = digest(output)
    files = before[1]
    for share in (rng.uniform(0.5, 0.75), rng.uniform(0.75, 1.0)):
        program = command.start(*CALLS[name], '--force')
        try:
            program.wait(share * whole_s)
        except subprocess.TimeoutExpired:
            program.kill()
        program.communicate()
        if digest(output) != before:
            # It was complete before it was killed, or ended.
            before = digest(output)
            assert before[1] == files
    leftovers = [path.name for path in command.folder.glob('.out.*.part')]
    again = command(*CALLS[name], '--force')
    assert again.returncode == 0, again.stderr
    assert all(
        f'removed {one}, which an interrupted run left' in again.stderr for one in leftovers
    )
    assert {path.name for path in command.folder.iterdir() if 'out' in path.name} == {'out'}
    assert digest(output)[1] == files
