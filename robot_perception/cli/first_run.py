"""The first run: a sequence of the demo world, seen by the node, compared with its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
import os
from pathlib import Path
import signal

from tqdm import tqdm

from robot_perception.cli.next_steps import next_steps
from robot_perception.core import (
    make_folder,
    OutputError,
    PerceptionError,
    replacing_folder,
    Scene,
)
from robot_perception.evaluation import Evaluation, Report, Row, truth_of_bag
from robot_perception.nodes import DemoReport, Judgement, run_demo
from robot_perception.pipeline import PerceptionConfig
from robot_perception.viewer import Table
from robot_perception.world import record

# A table with eight things of six classes. Networks are trained on seeds below 900000.
SEED = 900_136
FRAMES = 60
SIZE_HW = (480, 640)
# 6 pictures a second: a CPU keeps up with them, and nearly every one is compared.
RATE = 0.2
_BAG = 'world_bag'

# Group and name of a figure -> what the table calls it. Average precision is left out: what is
# below the threshold of the detector is not published.
_FIGURES = {
    ('detector', 'precision'): 'objects: share of the found that are right (precision)',
    ('detector', 'recall'): 'objects: share of the true that are found (recall)',
    ('masks', 'IoU, predicted boxes'): 'masks of found objects: overlap with the true (IoU)',
    ('depth', 'AbsRel'): 'depth: mean relative error (AbsRel)',
    ('depth', 'RMSE'): 'depth: root mean square error (RMSE)',
    ('depth', 'delta1'): 'depth: share of pixels within 25 % (delta1)',
    ('3D', 'centroid error, median'): 'place of found objects: median error',
    ('3D', 'box IoU'): '3D boxes of found objects: overlap with the true (IoU)',
}


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
    # A library that it needs may be missing; better heard now than at the end.
    evaluation = Evaluation()
    make_folder(output)
    bag = output / _BAG
    say(f'recording {FRAMES} frames of the demo world, seed {SEED}')
    record_anew(bag)
    say(f'the recording, with its truth: {bag.resolve()}')
    return run_demo(
        config,
        output,
        source=str(bag),
        rate=RATE,
        seconds=seconds,
        judge=partial(judge, evaluation, bag),
        steps=next_steps(),
        say=say,
    )


def judge(evaluation: Evaluation, bag: Path, scenes: Iterable[Scene]) -> Judgement:
    """Compare scenes with the truth of a bag.

    Args:
        evaluation: takes the frames.
        bag: a recording of the demo world.
        scenes: of some of its frames, in order of their stamps.

    Raises:
        PerceptionError: a scene is of no frame of the bag, or the bag cannot be read.

    """
    truths = truth_of_bag(bag)
    for scene in scenes:
        stamp_ns = scene.image.stamp_ns
        truth = next((truth for truth in truths if truth.image.stamp_ns == stamp_ns), None)
        if truth is None:
            raise PerceptionError(
                f'scene: expected the stamp of a frame of {bag}, got {stamp_ns}. '
                'Let nobody else publish images in this ROS domain.'
            )
        evaluation.add(scene, truth)
    report = evaluation.report()
    return Judgement(_table(report), report.as_json())


def _table(report: Report) -> Table:
    rows = {(row.group, row.name): row for row in report.rows}
    return Table(
        f'Accuracy on this one scene, over {report.frames} frames with {sum(report.objects.values())} objects',
        ('figure', 'value', '95 % interval'),
        tuple((label, *_figure(rows[key])) for key, label in _FIGURES.items()),
    )


def _figure(row: Row) -> tuple[str | None, str | None]:
    unit = f' {row.unit}' if row.unit else ''
    if row.value is None:
        return None, None
    if row.low is None or row.high is None:
        return f'{_text(row.value)}{unit}', None
    return f'{_text(row.value)}{unit}', f'{_text(row.low)} to {_text(row.high)}{unit}'


def _text(value: float) -> str:
    """Four digits, and three behind the point at most."""
    whole_digits = len(f'{abs(value):.0f}')
    return f'{value:.{max(0, 4 - whole_digits)}f}'


def record_anew(bag: Path) -> None:
    """Record the demo world; what an earlier run left is replaced when all is written."""
    _check_replaceable(bag)
    with (
        _sigterm_as_interrupt(),
        replacing_folder(bag) as made,
        tqdm(total=FRAMES, unit=' frames', disable=None) as bar,
    ):
        record(made, SEED, FRAMES, SIZE_HW, on_frame=bar.update)


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
