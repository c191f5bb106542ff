"""Short recordings for fleets, an engine without processes, and the files of an output."""

from collections import deque
from pathlib import Path

from bags import generated_frames, write_rgbd_bag
from processes import list_processes
from result_bags import write_result_bag

from robot_perception.bag import BagJob
from robot_perception.fleet import Address, Entry, find_recordings, FleetJob, Manifest
from robot_perception.pipeline import PerceptionConfig


def write_recordings(folder, count, images=4):
    """Write the bags of noise that are missing, in folders of two days; returns their names."""
    names = []
    for index in range(count):
        path = Path(folder) / f'day_{index % 2}' / f'run_{index}'
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_rgbd_bag(path, generated_frames(images, seed=index))
        names.append(f'day_{index % 2}/run_{index}')
    return sorted(names)


def fleet_job(inputs, output, values=None, **options):
    """Return a job of the stub preset; results have the names of paths below the root."""
    target = Address.parse(str(output))
    bag = BagJob((), Path('results'), PerceptionConfig.from_preset('stub', values or {}))
    return FleetJob(find_recordings(map(str, inputs), target), target, bag, **options)


def results(output):
    """Return path -> content of all result files."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(Path(output).rglob('*'))
        if path.is_file() and path.name not in {'manifest.json', '.lock'}
    }


class DirectEngine:
    """Runs functions at once, in this process; ``change`` may replace what they return."""

    slots = 2

    def __init__(self, change=lambda _key, result: result, where=''):
        self.change = change
        self.where = where
        self.calls = []
        self._done = deque()

    def submit(self, key, function, argument, avoid=()):
        self.calls.append((function.__name__, argument.name, tuple(avoid)))
        self._done.append((key, self.change(argument.name, function(argument)), self.where))

    def next_result(self, timeout_s):
        return self._done.popleft()

    def close(self):
        pass


def find_workers(program):
    """Return the ids of the worker processes that a fleet has started on this machine."""
    parents = {one.number: (one.parent, one.command) for one in list_processes()}
    workers = []
    for process, (parent, command) in parents.items():
        # Those at work: Ray does not survive its agents, nor workers that it is starting with.
        of_ray = command.startswith('ray::_run_on_node')
        depth, above = 0, parent
        while above != program.pid and above in parents:
            depth, above = depth + 1, parents[above][0]
        # The process that forks the others is no worker.
        if above == program.pid and (of_ray or (depth and 'forkserver' in command)):
            workers.append(process)
    return workers


def write_output(folder, recordings):
    """Write the output of a fleet with these scenes as the results of each recording."""
    manifest = Manifest({})
    for name, scenes in recordings.items():
        write_result_bag(folder / name, scenes)
        counts = {'rejected': {}}
        entry = Entry(name, f'/{name}', (), (), len(scenes), 0, counts, (), (), 'host', 1.0)
        manifest.add(entry)
    manifest.write(Address.parse(str(folder)))
    return folder
