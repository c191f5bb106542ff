"""Measures a fleet: kills of workers, a second run, memory and scaling.

As a program: ``python test/fleet_bench.py --bags 100 --kills 20 --engine local ray`` processes
short recordings with the stub preset once undisturbed and once while workers are killed, compares
all files, runs once more with nothing to do, and measures 1 and 2 workers on some of the
recordings, with stubs and with the demo's networks.
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

SAMPLED_S = 0.1
SCALING = {'stub': 20, 'demo': 12}


def memory_mib(process):
    """Return the largest resident memory that a process has had, and its proportional set now.

    The second counts a page that n processes have as one n-th of it.
    """
    try:
        resident, proportional = (
            Path(f'/proc/{process}/{name}').read_text(encoding='ascii')
            for name in ('status', 'smaps_rollup')
        )
    except OSError:
        return 0.0, 0.0
    found = [re.search(r'VmHWM:\s+(\d+)', resident), re.search(r'Pss:\s+(\d+)', proportional)]
    return tuple(int(one[1]) / 1024 if one else 0.0 for one in found)


def shown(memory):
    return '{:.0f} MiB, proportional {:.0f} MiB'.format(*memory)


class Watch(threading.Thread):
    """Kills workers of a program at random, and keeps the largest memory of any."""

    def __init__(self, program, kills, seed, find=find_workers):
        super().__init__(daemon=True)
        self.program, self.kills, self.find = program, kills, find
        self.rng = random.Random(seed)  # noqa: S311 - no secret
        self.done, self.memory_mib = 0, (0.0, 0.0)

    def run(self):
        next_s = time.monotonic()
        while self.program.poll() is None:
            time.sleep(SAMPLED_S)
            workers = self.find(self.program)
            for found in map(memory_mib, workers):
                self.memory_mib = tuple(map(max, self.memory_mib, found))
            if workers and self.done < self.kills and time.monotonic() > next_s:
                os.kill(self.rng.choice(workers), signal.SIGKILL)
                self.done += 1
                next_s = time.monotonic() + self.rng.uniform(0.2, 1.5)


class Bench:
    """Runs fleets with one engine in the folder of a command."""

    def __init__(self, command, engine):
        self.command, self.engine = command, engine

    def run(self, recordings, output, workers, preset='stub', kills=0):
        """Process recordings; returns seconds, the report and the watch."""
        begin = time.monotonic()
        program = self.command.start(
            *('fleet', *recordings, '-o', output, '--preset', preset, '-q'),
            *('--engine', self.engine, '--workers', workers, '--retries', 50),
            *('--json', f'{output}.json', '--force'),
        )
        watch = Watch(program, kills, seed=workers)
        watch.start()
        _, errors = program.communicate()
        assert program.returncode == 0, errors
        watch.join()
        report = json.loads((self.command.folder / f'{output}.json').read_text())
        return time.monotonic() - begin, report, watch

    def measure_kills(self, count, kills):
        """Compare a disturbed run with an undisturbed one, and run once more."""
        took_s, _, watch = self.run(['bags'], self.engine, 2)
        self.print(
            f'{count} recordings, 2 workers: {took_s:.1f} s; '
            f'largest worker {shown(watch.memory_mib)}'
        )
        expected = results(self.command.folder / self.engine)
        took_s, report, watch = self.run(['bags'], f'{self.engine}_killed', 2, kills=kills)
        assert results(self.command.folder / f'{self.engine}_killed') == expected
        assert len(report['processed']) == count
        lost = report['lost_workers']
        self.print(
            f'{watch.done} kills, {lost} lost tasks: {took_s:.1f} s; '
            f'{len(expected)} files equal byte for byte'
        )
        took_s, report, _ = self.run(['bags'], self.engine, 2)
        assert len(report['unchanged']) == count
        self.print(f'nothing to do: {took_s:.1f} s, {report["elapsed_s"]:.2f} s after imports')

    def measure_scaling(self, names, preset):
        """Process some recordings with one worker and with two."""
        took_s, outputs = [], []
        for workers in (1, 2):
            output = f'{self.engine}_{preset}_{workers}'
            took, _, watch = self.run([f'bags/{name}' for name in names], output, workers, preset)
            took_s.append(took)
            outputs.append(results(self.command.folder / output))
        assert outputs[0] == outputs[1]
        self.print(
            f'{preset}, {len(names)} recordings: 1 worker {took_s[0]:.1f} s, 2 workers '
            f'{took_s[1]:.1f} s, {took_s[0] / took_s[1]:.2f} times as fast; '
            f'largest worker {shown(watch.memory_mib)}'
        )

    def print(self, text):
        print(f'{self.engine}: {text}', flush=True)


def one_bag_mib(command, preset):
    """Return the memory of ``robot-perception bag`` for one recording."""
    first = next((command.folder / 'bags').rglob('metadata.yaml')).parent
    program = command.start('bag', first, '-o', f'one_{preset}', '--preset', preset, '-q')
    watch = Watch(program, 0, 0, find=lambda program: [program.pid])
    watch.start()
    program.communicate()
    watch.join()
    return watch.memory_mib


def empty_ray_worker_mib():
    """Return the memory of a worker of Ray that has returned a number."""
    import ray

    ray.init(include_dashboard=False, num_cpus=1, log_to_driver=False, logging_level='WARNING')
    try:
        worker = ray.remote(lambda: os.getpid())  # noqa: PLW0108 - Ray takes no built-in function
        ray.get(worker.remote())
        return memory_mib(ray.get(worker.remote()))
    finally:
        ray.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--bags', type=int, default=100)
    parser.add_argument('--images', type=int, default=4, help='in each bag')
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--engine', nargs='+', choices=('local', 'ray'), default=['local'])
    arguments = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        command = Command(Path(name))
        names = write_recordings(command.folder / 'bags', arguments.bags, arguments.images)
        for preset in SCALING:
            print(f'one bag job, {preset}: {shown(one_bag_mib(command, preset))}', flush=True)
        for engine in arguments.engine:
            bench = Bench(command, engine)
            if engine == 'ray':
                bench.print(f'a worker without work {shown(empty_ray_worker_mib())}')
            bench.measure_kills(arguments.bags, arguments.kills)
            for preset, count in SCALING.items():
                bench.measure_scaling(names[:count], preset)
    print(f'all: {time.monotonic() - begin:.0f} s')


if __name__ == '__main__':
    main()
