"""Measure the HTTP service: right answers, hostile requests, memory, overhead and overload.

    python benchmarks/serve.py --preset stub --requests 10000

Starts ``robot-perception serve`` on a free port of this machine, and prints figures as JSON. Exits
with 1 if an answer is wrong, the service or a worker ends, or a limit is exceeded.
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
import http.client
import itertools
import json
from pathlib import Path
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

from robot_perception.core import CameraModel, Image
from robot_perception.faults.file_mutations import mutated_files
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.viewer import encode_png, scene_to_dict
from robot_perception.world import render

_SIZE_HW = (240, 320)
_HFOV_DEG = 60.0
_SEEDS = range(900_000, 900_005)
_HOSTILE_EVERY = 5
_BURST, _QUEUE = 48, 8
_REFUSALS = {400, 413, 415}
_LIMITS = {'overhead_p50_ms': 10.0, 'refused_p50_ms': 20.0, 'refused_p99_ms': 100.0}
_MAX_GROWTH = 0.02


@dataclass
class Tally:
    """What came back, counted by all clients."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    memory_mb: list[float] = field(default_factory=list)


class Client:
    """One connection, opened again where the service closed it."""

    def __init__(self, port: int) -> None:
        """Connect at the first request."""
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, path: str = '/v1/scene') -> tuple[int, bytes]:
        """Send a body and return status and body of the answer."""
        for attempt in itertools.count():
            connection = self._connection or http.client.HTTPConnection(
                '127.0.0.1', self._port, timeout=120
            )
            self._connection = connection
            try:
                connection.request('POST', path, body)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, OSError):
                connection.close()
                self._connection = None
                if attempt:
                    raise
        raise AssertionError


def timeless(scene: dict[str, object]) -> str:
    """Return a scene without what differs from run to run."""
    return json.dumps({**scene, 'timing_s': None})


def expected_scenes(preset: str) -> dict[bytes, str]:
    """Return pictures and their scenes as the library computes them."""
    pipeline = PerceptionPipeline.from_preset(preset)
    scenes = {}
    for seed in _SEEDS:
        rgb = render(seed, _SIZE_HW).image.rgb
        pipeline.reset()
        scene = pipeline.process(Image(rgb), CameraModel.nominal(_SIZE_HW, _HFOV_DEG))
        scenes[encode_png(rgb)] = timeless(json.loads(json.dumps(scene_to_dict(scene))))
    return scenes


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process and its children, MiB."""
    children = Path(f'/proc/{pid}/task/{pid}/children').read_text(encoding='ascii').split()
    total = 0
    for one in (str(pid), *children):
        pages = Path(f'/proc/{one}/statm').read_text(encoding='ascii').split()[1]
        total += int(pages)
    return total * 4096 / 2**20


def load(
    port: int, pid: int, scenes: dict[bytes, str], requests: int, clients: int
) -> tuple[Tally, float]:
    """Send requests from some clients, a fifth of them hostile; return counts and seconds."""
    good = list(scenes)
    hostile = [item.subject[0] for item in mutated_files(360, _SIZE_HW, seed=3)]
    tally, lock, numbers = Tally(), threading.Lock(), iter(range(requests))

    def run() -> None:
        client = Client(port)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            is_hostile = number % _HOSTILE_EVERY == 0
            body = hostile[number % len(hostile)] if is_hostile else good[number % len(good)]
            status, answer = client.post(body)
            is_right = (
                status == 200 or status in _REFUSALS
                if is_hostile
                else status == 200 and timeless(json.loads(answer)) == scenes[body]
            )
            with lock:
                tally.statuses[status] += 1
                tally.wrong += not is_right
                if number % max(1, requests // 100) == 0:
                    tally.memory_mb.append(memory_mb(pid))

    start_s = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(run) for _ in range(clients)]:
            done.result()
    return tally, time.monotonic() - start_s


def overheads_ms(port: int, body: bytes, count: int) -> list[float]:
    """Return what each of some requests took beyond the pipeline, milliseconds."""
    client, times = Client(port), []
    for _ in range(count):
        start_s = time.monotonic()
        _, answer = client.post(body)
        seconds = time.monotonic() - start_s
        times.append(1e3 * (seconds - json.loads(answer)['timing_s']['pipeline']))
    return times


def refusals_ms(port: int, body: bytes, rounds: int) -> list[float]:
    """Fill the queue with archives, and return how long answers with status 429 took."""
    with ThreadPoolExecutor(_BURST) as pool:
        fillers = [
            pool.submit(Client(port).post, body, '/v1/scene?format=zip') for _ in range(_QUEUE + 2)
        ]
        client, times = Client(port), []
        while not all(one.done() for one in fillers) and len(times) < rounds:
            start_s = time.monotonic()
            status, _ = client.post(body)
            if status == 429:
                times.append(1e3 * (time.monotonic() - start_s))
    return times


def wait_until_ready(program: subprocess.Popen[bytes], log: Path) -> int:
    """Return the port of the service once its networks are loaded."""
    while program.poll() is None:
        text = log.read_text(encoding='utf-8')
        if 'ready:' in text:
            return int(re.search(r'http://127\.0\.0\.1:(\d+)', text)[1])
        time.sleep(0.2)
    raise SystemExit(log.read_text(encoding='utf-8'))


def main() -> int:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--preset', choices=('stub', 'demo'), default='stub')
    parser.add_argument('--requests', type=int, default=10_000)
    parser.add_argument('--clients', type=int, default=4)
    arguments = parser.parse_args()
    scenes = expected_scenes(arguments.preset)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, 'service.log')
        with log.open('w', encoding='utf-8') as file:
            program = subprocess.Popen(
                [
                    *(sys.executable, '-m', 'robot_perception', 'serve', '--port', '0'),
                    *('--preset', arguments.preset, '--queue', str(_QUEUE), '--deadline', '120'),
                ],
                stderr=file,
            )
        port = wait_until_ready(program, log)
    try:
        body = next(iter(scenes))
        tally, seconds = load(port, program.pid, scenes, arguments.requests, arguments.clients)
        overhead = overheads_ms(port, body, min(200, arguments.requests))
        refused = refusals_ms(port, body, 200)
    finally:
        program.send_signal(signal.SIGTERM)
    code = program.wait(60)
    half = tally.memory_mb[len(tally.memory_mb) // 2 :]
    growth = float(np.mean(half[len(half) // 2 :]) / np.mean(half[: len(half) // 2]) - 1)
    figures = {
        'preset': arguments.preset,
        'requests': arguments.requests,
        'per_second': arguments.requests / seconds,
        'statuses': dict(sorted(tally.statuses.items())),
        'wrong': tally.wrong,
        'exit_code': code,
        'memory_mb': half[-1],
        'memory_growth_of_second_half': growth,
        'overhead_p50_ms': float(np.percentile(overhead, 50)),
        'overhead_p99_ms': float(np.percentile(overhead, 99)),
        'refused': len(refused),
        'refused_p50_ms': float(np.percentile(refused, 50)) if refused else None,
        'refused_p99_ms': float(np.percentile(refused, 99)) if refused else None,
    }
    print(json.dumps(figures, indent=2))
    exceeded = [name for name, limit in _LIMITS.items() if not (figures[name] or 0) <= limit]
    if growth > _MAX_GROWTH:
        exceeded.append('memory_growth_of_second_half')
    print('exceeded:', ', '.join(exceeded) or 'nothing', file=sys.stderr)
    return int(bool(tally.wrong or code or exceeded))


if __name__ == '__main__':
    sys.exit(main())
