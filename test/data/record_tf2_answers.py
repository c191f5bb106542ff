"""Record what the C++ library tf2 answers to random histories, in tf2_answers.json.

    python test/data/record_tf2_answers.py GEOMETRY2 COMMIT ROS_PREFIX

GEOMETRY2 is a checkout of https://github.com/ros2/geometry2 at COMMIT, ROS_PREFIX a folder with
the C++ headers of geometry_msgs and the library rcutils, such as /opt/ros/jazzy or the `.venv` of
`make workspace`. Needs g++.

A history is a list of steps: a transform that is inserted, or a lookup with the answer. Among
right transforms are the mistakes of real robots: edges published once in the wrong direction,
with another parent, without a stamp, late, twice with other values, static and moving in turn.
"""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
import random
import re
import subprocess
import sys
import tempfile

FOLDER = Path(__file__).parent
HISTORIES = 40
STEPS = 90
CACHE_S = 10.0
MILLISECOND = 1_000_000
# Exact in few digits, so that the file is small.
ROTATIONS = (
    (0.0, 0.0, 0.0, 1.0),
    (0.5, 0.5, 0.5, 0.5),
    (0.0, 0.0, 0.6, 0.8),
    (0.6, 0.0, 0.0, -0.8),
    (0.1, 0.1, 0.7, 0.7),
    (0.1, -0.5, 0.5, 0.7),
    (-0.3, 0.1, 0.3, 0.9),
)


class Tf2:
    """A buffer of tf2."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.create.restype = ctypes.c_void_p
        self._buffer = ctypes.c_void_p(library.create(ctypes.c_double(CACHE_S)))

    def close(self) -> None:
        self._library.destroy(self._buffer)

    def insert(self, parent: str, child: str, stamp_ms: int, pose: tuple, *, static: bool) -> None:
        self._library.insert(
            self._buffer,
            parent.encode(),
            child.encode(),
            ctypes.c_int64(stamp_ms * MILLISECOND),
            (ctypes.c_double * 7)(*pose),
            ctypes.c_bool(static),
        )

    def lookup(self, target: str, source: str, stamp_ms: int) -> list[float] | int:
        pose = (ctypes.c_double * 7)()
        error = self._library.lookup(
            self._buffer,
            target.encode(),
            source.encode(),
            ctypes.c_int64(stamp_ms * MILLISECOND),
            pose,
        )
        return error or [round(value, 9) for value in pose]


def build(geometry2: Path, prefix: Path, folder: Path) -> ctypes.CDLL:
    library = folder / 'tf2_answers.so'
    includes = [geometry2 / 'tf2' / 'include', prefix / 'include']
    # Each package of ROS 2 has a folder of its own there since Humble.
    includes += [path for path in (prefix / 'include').iterdir() if path.is_dir()]
    command = ['g++', '-O1', '-std=c++17', '-shared', '-fPIC', '-w', '-o', library]
    command += [FOLDER / 'tf2_answers.cpp', *sorted((geometry2 / 'tf2' / 'src').glob('*.cpp'))]
    command += [f'-I{path}' for path in includes]
    command += [f'-L{prefix / "lib"}', f'-Wl,-rpath,{prefix / "lib"}', '-lrcutils']
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def random_pose(draw: random.Random) -> tuple[float, ...]:
    return (*(round(draw.uniform(-5, 5), 2) for _ in range(3)), *draw.choice(ROTATIONS))


def random_edges(draw: random.Random) -> list[tuple[str, str, int]]:
    """Draw a forest: parent, child and period in milliseconds, 0 for a static edge."""
    edges = []
    for number in range(1, draw.randint(4, 7)):
        parent = draw.randrange(number)
        if draw.random() < 0.05:
            parent += 10  # another root
        edges.append((f'f{parent}', f'f{number}', draw.choice((0, 0, 50, 100, 350, 1000))))
    return edges


def mistake(draw: random.Random, parent: str, child: str, now_ms: int, frames: list[str]) -> tuple:
    """Draw a transform that a robot publishes by mistake."""
    stamp_ms, static = now_ms, draw.random() < 0.15
    kind = draw.randrange(5)
    if kind == 0:
        parent, child = child, parent
    elif kind == 1:
        parent = draw.choice([frame for frame in frames if frame != child])
    elif kind == 2:
        stamp_ms = 0
    elif kind == 3:
        stamp_ms = now_ms - draw.randrange(1, 4000)
    # Otherwise the right edge with another value, perhaps at a stamp that it already has.
    return parent, child, stamp_ms, random_pose(draw), static


def record(tf2: Tf2, draw: random.Random) -> list[list]:
    edges = random_edges(draw)
    frames = sorted({frame for parent, child, _ in edges for frame in (parent, child)})
    has_mistakes = draw.random() < 0.8
    steps: list[list] = []

    def insert(parent: str, child: str, stamp_ms: int, pose: tuple, static: bool) -> None:  # noqa: FBT001
        tf2.insert(parent, child, stamp_ms, pose, static=static)
        steps.append(['static' if static else 'moving', parent, child, stamp_ms, pose])

    for now_ms in range(100_000, 100_000 + draw.choice((1500, 3000, 15000)), 50):
        for parent, child, period_ms in edges:
            due = now_ms % period_ms == 0 if period_ms else now_ms == 100_000
            if due:
                insert(parent, child, now_ms, random_pose(draw), not period_ms)
                if has_mistakes and draw.random() < 0.08:
                    insert(*mistake(draw, parent, child, now_ms, frames))
        is_last = len(steps) > STEPS
        if is_last or draw.random() < 0.1:
            for _ in range(2):
                pair = draw.sample(frames, 2) if draw.random() < 0.97 else ['f1', 'nowhere']
                stamp_ms = draw.choice(
                    (0, now_ms, now_ms - draw.randrange(3000), now_ms - 50 * draw.randrange(50))
                )
                for target, source in (pair, pair[::-1]):
                    answer = tf2.lookup(target, source, stamp_ms)
                    steps.append(['lookup', target, source, stamp_ms, answer])
        if is_last:
            break
    return steps


def main() -> int:
    geometry2, commit, prefix = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    package = (geometry2 / 'tf2' / 'package.xml').read_text(encoding='utf-8')
    version = re.search('<version>(.*)</version>', package)[1]
    draw = random.Random(0)  # noqa: S311 - not for security
    histories = []
    with tempfile.TemporaryDirectory() as folder:
        library = build(geometry2, prefix, Path(folder))
        for _ in range(HISTORIES):
            tf2 = Tf2(library)
            histories.append(record(tf2, draw))
            tf2.close()
    lines = ',\n'.join(json.dumps(steps, separators=(',', ':')) for steps in histories)
    text = f'{{"tf2": "{version}", "geometry2": "{commit}", "histories": [\n{lines}\n]}}\n'
    (FOLDER / 'tf2_answers.json').write_text(text, encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
