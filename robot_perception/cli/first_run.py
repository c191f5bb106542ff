"""The first run: a sequence of the demo world, seen by the node, compared with its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
import os
from pathlib import Path
import signal
import tempfile

from tqdm import tqdm

from robot_perception.cli.next_steps import next_steps
from robot_perception.core import Scene
from robot_perception.core.errors import OutputError, PerceptionError
from robot_perception.evaluation import evaluate, Truth, truth_of_bag
from robot_perception.nodes.demo import run_demo
from robot_perception.nodes.demo_report import DemoReport
from robot_perception.pipeline import PerceptionConfig
from robot_perception.viewer import Table
from robot_perception.viewer.atomic import make_folder, unwritable
from robot_perception.world import record

# A table with eight things of six classes. Networks are trained on seeds below 900000.
SEED = 900_136
FRAMES = 90
SIZE_HW = (480, 640)
# 7.5 pictures a second: a CPU keeps up with them, and nearly every one is compared.
RATE = 0.25
BAG = 'world_bag'


def first_run(
    config: PerceptionConfig,
    output: Path,
    *,
    seconds: float,
    say: Callable[[str], None] = print,
) -> DemoReport:
    """Record the demo world, replay it into the node, and compare what came out with the truth.

    Args:
        config: parameters of the node.
        output: folder for all that is written, the recording ``world_bag`` too.
        seconds: longest time to replay.
        say: told what happens.

    Raises:
        PerceptionError: the recording cannot be written, or what `run_demo` raises.

    """
    make_folder(output)
    bag = output / BAG
    say(f'recording {FRAMES} frames of the demo world, seed {SEED}')
    _record_anew(bag)
    return run_demo(
        config,
        output,
        source=str(bag),
        rate=RATE,
        seconds=seconds,
        judge=partial(judge, bag),
        steps=next_steps(),
        say=say,
    )


def judge(bag: Path, scenes: Iterable[Scene]) -> Sequence[Table]:
    """Compare scenes with the truth of a bag.

    Args:
        bag: a recording of the demo world.
        scenes: of some of its frames, in order of their stamps.

    Raises:
        PerceptionError: a scene is of no frame of the bag, or the bag cannot be read.

    """
    report = evaluate(_pairs(scenes, truth_of_bag(bag)))
    return [
        Table(
            f'Accuracy on {report.frames} frames, against the exact truth of the recording',
            ('figure', 'value', '95 % from', 'to', 'n'),
            tuple((row.name, row.value, row.low, row.high, row.count) for row in report.rows),
        )
    ]


def _pairs(scenes: Iterable[Scene], truths: Iterator[Truth]) -> Iterator[tuple[Scene, Truth]]:
    for scene in scenes:
        stamp_ns = scene.image.stamp_ns
        truth = next((truth for truth in truths if truth.stamp_ns == stamp_ns), None)
        if truth is None:
            raise PerceptionError(
                f'scene: expected the stamp of a frame of the recording, got {stamp_ns}. '
                'Let nobody else publish images in this ROS domain.'
            )
        yield scene, truth


def _record_anew(bag: Path) -> None:
    """Record the demo world; what an earlier run left is replaced when all is written."""
    _check_replaceable(bag)
    try:
        with (
            _sigterm_as_interrupt(),
            tempfile.TemporaryDirectory(prefix=f'.{bag.name}.', dir=bag.parent) as scratch,
        ):
            made = Path(scratch) / bag.name
            with tqdm(total=FRAMES, unit=' frames', disable=None) as bar:
                record(made, SEED, FRAMES, SIZE_HW, on_frame=bar.update)
            if bag.exists():
                bag.rename(Path(scratch) / 'old')
            made.rename(bag)
    except OSError as error:
        raise unwritable(bag, error) from error


def _check_replaceable(bag: Path) -> None:
    """Refuse to replace what no demo has written."""
    if not os.path.lexists(bag):
        return
    if not bag.is_dir() or {path.name for path in bag.iterdir()} != {
        'metadata.yaml',
        f'{bag.name}.mcap',
    }:
        raise OutputError(
            f'{bag}: expected nothing or the recording of an earlier demo, got something else. '
            'Remove it, or choose another folder with --output.'
        )


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Tidy up at SIGTERM as at Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
