"""Measures a fleet: kills of workers, a second run, memory and scaling.

As a program: ``python test/fleet_bench.py --bags 100 --kills 20`` processes short recordings with
the stub preset once undisturbed and once while workers are killed, compares all files, and runs
once more with nothing to do. ``--preset demo --kills 0`` measures scaling with networks.
"""

import argparse
import json
import os
from pathlib import Path
import random
import re
import signal
import tempfile
import threading
import time

from commands import Command
from fleets import find_workers, results, write_recordings


def resident_mib(process):
    """Return the largest resident memory that a process has had."""
    try:
        text = Path(f'/proc/{process}/status').read_text(encoding='ascii')
    except OSError:
        return 0.0
    found = re.search(r'VmHWM:\s+(\d+) kB', text)
    return int(found[1]) / 1024 if found else 0.0


class Watch(threading.Thread):
    """Kills workers of a program at random, and keeps the largest memory of any."""

    def __init__(self, program, kills, seed):
        super().__init__(daemon=True)
        self.program, self.kills, self.rng = program, kills, random.Random(seed)  # noqa: S311 - no secret
        self.done, self.memory_mib = 0, 0.0

    def run(self):
        while self.program.poll() is None:
            time.sleep(self.rng.uniform(0.2, 1.0))
            workers = find_workers(self.program)
            self.memory_mib = max([self.memory_mib, *map(resident_mib, workers)])
            if workers and self.done < self.kills:
                os.kill(self.rng.choice(workers), signal.SIGKILL)
                self.done += 1


def run(command, arguments, output, workers, kills=0):
    """Process all recordings; returns seconds, the report and the watch."""
    begin = time.monotonic()
    program = command.start(
        *('fleet', 'bags', '-o', output, '--preset', arguments.preset, '-q'),
        *('--engine', arguments.engine, '--workers', workers, '--retries', 50),
        *('--json', f'{output}.json', '--force'),
    )
    watch = Watch(program, kills, seed=workers)
    watch.start()
    _, errors = program.communicate()
    assert program.returncode == 0, errors
    watch.join()
    report = json.loads((command.folder / f'{output}.json').read_text())
    return time.monotonic() - begin, report, watch


def one_bag_mib(command, arguments):
    """Return the memory of ``robot-perception bag`` for one recording."""
    first = next((command.folder / 'bags').rglob('metadata.yaml')).parent
    program = command.start('bag', first, '-o', 'one', '--preset', arguments.preset, '-q')
    largest = 0.0
    while program.poll() is None:
        largest = max(largest, resident_mib(program.pid))
        time.sleep(0.02)
    program.communicate()
    return largest


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--bags', type=int, default=100)
    parser.add_argument('--images', type=int, default=4, help='in each bag')
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--preset', default='stub')
    parser.add_argument('--engine', default='ray')
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        command = Command(Path(name))
        write_recordings(command.folder / 'bags', arguments.bags, arguments.images)
        for workers in arguments.workers:
            took_s, report, watch = run(command, arguments, f'out_{workers}', workers)
            print(
                f'{workers} workers: {took_s:.1f} s, in the fleet {report["elapsed_s"]:.1f} s; '
                f'largest worker {watch.memory_mib:.0f} MiB',
                flush=True,
            )
        print(f'one bag job: {one_bag_mib(command, arguments):.0f} MiB', flush=True)
        expected = results(command.folder / f'out_{arguments.workers[0]}')
        for workers in arguments.workers:
            assert results(command.folder / f'out_{workers}') == expected
        if arguments.kills:
            took_s, report, watch = run(command, arguments, 'killed', 2, arguments.kills)
            assert results(command.folder / 'killed') == expected
            assert len(report['processed']) == arguments.bags
            print(
                f'{watch.done} kills, {report["lost_workers"]} lost tasks: {took_s:.1f} s, equal'
            )
        took_s, report, _ = run(command, arguments, f'out_{arguments.workers[0]}', 2)
        assert len(report['unchanged']) == arguments.bags
        print(f'nothing to do: {took_s:.1f} s, in the fleet {report["elapsed_s"]:.2f} s')


if __name__ == '__main__':
    main()
