"""The first run: the node processes a demo sequence and is compared with its ground truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from robot_perception.cli.asked_truth import find_scene, select_asked
from robot_perception.cli.next_steps import next_steps
from robot_perception.core import PerceptionError, Scene
from robot_perception.evaluation import (
    align_truth,
    Evaluation,
    MetricRow,
    read_bag_ground_truth,
    Report,
)
from robot_perception.nodes import AccuracyReport, DemoReport, run_demo
from robot_perception.pipeline import PerceptionConfig
from robot_perception.viewer import Table
from robot_perception.world import record, WORLD_FRAME, WorldFrame

# A table with eight objects of six classes. Networks are trained on seeds below 900000.
SEED = 900_136
# 6 images per second: a CPU keeps up, and nearly every frame is compared.
_RATE = 0.2
_BAG = 'world_bag'
# Boxes of the visible surface reach no more even with perfect depth.
_GOOD_BOX_IOU = 0.5

# Group and name of a metric -> its label. Average precision is left out: detections below the
# threshold of the detector are not published.
_METRICS = {
    ('detector', 'precision'): 'objects: precision',
    ('detector', 'recall'): 'objects: recall',
    ('masks', 'IoU, predicted boxes'): 'masks of detected objects: IoU with ground truth',
    ('depth', 'AbsRel'): 'depth: mean relative error (AbsRel)',
    ('depth', 'RMSE'): 'depth: root mean square error (RMSE)',
    ('depth', 'delta1'): 'depth: fraction of pixels within 25 % (delta1)',
    ('3D', 'centroid error, median'): 'position of detected objects: median error',
    ('3D', 'box IoU'): '3D boxes of detected objects: IoU with ground truth',
}


def first_run(
    config: PerceptionConfig,
    output: Path,
    *,
    seconds: float,
    quiet: bool = False,
    frames: int = 60,
    size_hw: tuple[int, int] = (480, 640),
    log: Callable[[str], None] = print,
) -> DemoReport:
    """Record the demo world, replay it into the node, and compare the results with ground truth.

    All files, including the recording ``world_bag`` of so many frames, are written to ``output``.
    With prompts, a scene that has what they ask for is recorded, and compared with its truth.
    The replay ends after ``seconds`` at the latest; ``quiet`` omits the progress bar, and ``log``
    receives progress messages.

    Raises:
        PerceptionError: the recording cannot be written, or what `run_demo` raises.
    """
    # Fails now, not at the end, if a library is missing.
    evaluation = Evaluation()
    bag = output / _BAG
    prompts = config.detector.prompt_names
    seed = find_scene(prompts) if prompts else SEED
    log(f'recording {frames} frames of the demo world, seed {seed}')
    colors: dict[int, Sequence[str | None]] = {}
    with tqdm(total=frames, unit=' frames', disable=quiet or None) as bar:

        def add(frame: WorldFrame) -> None:
            colors[frame.image.stamp_ns] = frame.colors
            bar.update()

        record(bag, seed, frames, size_hw, on_frame=add)
    # The recording has the pose of the camera: boxes are upright, and velocities known.
    frames_config = replace(
        config.frames,
        gravity_frame=config.frames.gravity_frame or WORLD_FRAME,
        fixed_frame=config.frames.fixed_frame or WORLD_FRAME,
    )
    return run_demo(
        replace(config, frames=frames_config),
        output,
        source=str(bag),
        rate=_RATE,
        seconds=seconds,
        comparison=WorldComparison(evaluation, bag, prompts, colors),
        steps=next_steps(),
        log=log,
    )


class WorldComparison:
    """Compares scenes, ordered by time stamp, with the ground truth of a recorded demo world."""

    def __init__(
        self,
        evaluation: Evaluation,
        bag: Path,
        prompts: Sequence[str] = (),
        colors: Mapping[int, Sequence[str | None]] | None = None,
    ) -> None:
        """Start to read the ground truth of a bag.

        Args:
            evaluation: gets the scenes.
            bag: the recording.
            prompts: of the detector, whose truth is compared instead of that of kinds.
            colors: for prompts: stamp in nanoseconds -> names of the colors of the true objects.
        """
        self._evaluation = evaluation
        self._bag = bag
        self._prompts = prompts
        self._colors = colors or {}
        self._truths = read_bag_ground_truth(bag)

    def add(self, scene: Scene) -> Scene:
        """Compare the next scene, and return the ground truth of its image as a scene.

        Raises:
            PerceptionError: the bag has no frame for the scene, or cannot be read.
        """
        stamp_ns = scene.image.stamp_ns
        truth = next((truth for truth in self._truths if truth.image.stamp_ns == stamp_ns), None)
        if truth is None:
            raise PerceptionError(
                'unknown_stamp',
                f'scene: expected the time stamp of a frame in {self._bag}, got {stamp_ns}. '
                'Stop other publishers of images in this ROS domain.',
            )
        if not self._prompts:
            self._evaluation.add(scene, truth)
            return align_truth(truth, scene)
        select = partial(select_asked, truth, self._colors[stamp_ns], self._prompts)
        self._evaluation.add(scene, select(unclear=True))
        return align_truth(select(unclear=False), scene)

    def report(self) -> AccuracyReport:
        """Return the metrics of all scenes so far."""
        report = self._evaluation.report()
        return AccuracyReport(_verdict(report), _table(report), report.as_json())


def _verdict(report: Report) -> str:
    """Return how good the results are, and why boxes in 3D are worse than the rest."""
    values = {(row.group, row.name): row.value for row in report.rows}
    recall, precision, mask_iou, depth, centroid_cm, box_iou = (
        values[key]
        for key in (
            ('detector', 'recall'),
            ('detector', 'precision'),
            ('masks', 'IoU, predicted boxes'),
            ('depth', 'AbsRel'),
            ('3D', 'centroid error, median'),
            ('3D', 'box IoU'),
        )
    )
    if recall is None or precision is None:
        return 'Nothing was detected that could be compared with the ground truth.'
    text = (
        f'{_percent(recall)} of the objects are detected and {_percent(precision)} of the '
        'detections are right'
    )
    if mask_iou is not None and depth is not None:
        text += (
            f'; masks overlap the ground truth by {_percent(mask_iou)}, and depth is off by '
            f'{_percent(depth)}'
        )
    if box_iou is None or centroid_cm is None:
        return f'{text}.'
    text += f'. 3D boxes overlap it by {_percent(box_iou)}'
    if box_iou < _GOOD_BOX_IOU:
        text += (
            f' only: depth estimated from one image is off by {centroid_cm:.0f} cm on objects '
            'about 10 cm deep, and only their front is visible'
        )
    return f'{text}.'


def _percent(share: float) -> str:
    return f'{100 * share:.3g} %'


def _table(report: Report) -> Table:
    rows = {(row.group, row.name): row for row in report.rows}
    return Table(
        f'Accuracy on this one scene, over {report.frames} frames with '
        f'{sum(report.objects.values())} objects',
        ('metric', 'value', '95 % interval'),
        tuple((label, *_value_and_interval(rows[key])) for key, label in _METRICS.items()),
    )


def _value_and_interval(row: MetricRow) -> tuple[str | None, str | None]:
    unit = f' {row.unit}' if row.unit else ''
    if row.value is None:
        return None, None
    value = f'{_short(row.value)}{unit}'
    if row.low is None or row.high is None:
        return value, None
    return value, f'{_short(row.low)} to {_short(row.high)}{unit}'


def _short(value: float) -> str:
    """Format with four digits, at most three of them decimals."""
    whole_digits = len(f'{abs(value):.0f}')
    return f'{value:.{max(0, 4 - whole_digits)}f}'
