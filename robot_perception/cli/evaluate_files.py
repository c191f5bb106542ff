"""What `robot-perception evaluate` is given as files, as frames to be evaluated."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from robot_perception.core import ConfigError, SourceError

if TYPE_CHECKING:
    from robot_perception.core import Detections, Masks, Scene
    from robot_perception.evaluation import FileFrame, Truth
    from robot_perception.pipeline import PerceptionConfig
    from robot_perception.viewer import JsonValue

_COCO, _DEPTH, _BAG = 'COCO JSON', 'depth pictures', 'bag'


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame beside its truth, as `Evaluation.add` takes it."""

    name: str
    scene: Scene
    truth: Truth
    candidates: Detections | None = None
    true_box_masks: Masks | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What to evaluate.

    Attributes:
        frames: made one at a time.
        count: of frames, None when nobody knows.
        source: for results.json.
        about: for the page.
        config: of the networks, None for predictions that came as files.

    """

    frames: Iterator[Frame]
    count: int | None
    source: Mapping[str, JsonValue]
    about: Mapping[str, str]
    config: PerceptionConfig | None = None


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group('files, instead of --world')
    group.add_argument(
        '--predictions',
        type=Path,
        metavar='PATH',
        help='bag of results, COCO results (.json), or folder of depth pictures (16 bit PNG, mm)',
    )
    group.add_argument(
        '--truth',
        type=Path,
        metavar='PATH',
        help='bag with /truth topics, COCO annotations (.json), or folder of depth pictures',
    )
    group.add_argument(
        '--node',
        default='/perception',
        metavar='NAME',
        help='whose results a bag holds (default: %(default)s)',
    )
    group.add_argument(
        '--images', type=Path, metavar='FOLDER', help='pictures of COCO annotations, to draw on'
    )
    group.add_argument(
        '--threshold',
        type=float,
        default=0.5,
        metavar='SCORE',
        help='least score of COCO results for all figures but AP (default: %(default)s)',
    )


def read_files(arguments: argparse.Namespace) -> Job:
    """Open predictions and truth.

    Raises:
        ConfigError: flags that do not belong together.
        SourceError: a file cannot be read.

    """
    predictions, truth = arguments.predictions, arguments.truth
    if predictions is None or truth is None:
        missing = '--predictions' if predictions is None else '--truth'
        raise ConfigError(f'{missing}: expected both --predictions and --truth, or --world A:B.')
    if not 0 <= arguments.threshold <= 1:
        raise ConfigError(f'--threshold: expected a score in [0, 1], got {arguments.threshold}.')
    for name in ('config', 'device', 'set'):
        if getattr(arguments, name):
            raise ConfigError(f'--{name}: expected with --world only; files run no network.')
    kinds = _kind(predictions), _kind(truth)
    if kinds[0] != kinds[1]:
        raise ConfigError(
            f'--predictions and --truth: expected two of a kind, got {kinds[0]} ({predictions}) '
            f'and {kinds[1]} ({truth}).'
        )
    if arguments.images is not None and kinds[0] != _COCO:
        raise ConfigError(f'--images: expected with COCO annotations only, got {kinds[0]}.')
    count, frames = _frames(arguments, kinds[0])
    return Job(
        frames,
        count,
        {
            'files': {
                'kind': kinds[0],
                'predictions': str(predictions),
                'truth': str(truth),
                'threshold': arguments.threshold if kinds[0] == _COCO else None,
            }
        },
        {'Predictions': predictions.name, 'Truth': truth.name},
    )


def _kind(path: Path) -> str:
    if not path.exists():
        raise SourceError(f'{path}: expected a file or a folder, got nothing there.')
    if path.suffix.lower() == '.json':
        return _COCO
    if path.is_dir() and any(path.glob('*.png')):
        return _DEPTH
    return _BAG


def _frames(arguments: argparse.Namespace, kind: str) -> tuple[int | None, Iterator[Frame]]:
    from robot_perception import evaluation  # noqa: PLC0415 - needs an optional library

    if kind == _COCO:
        count, frames = evaluation.coco_frames(
            arguments.predictions,
            arguments.truth,
            threshold=arguments.threshold,
            images=arguments.images,
        )
        return count, map(_frame, frames)
    if kind == _DEPTH:
        count, frames = evaluation.depth_frames(arguments.predictions, arguments.truth)
        return count, map(_frame, frames)
    return None, _bag_frames(arguments)


def _frame(one: FileFrame) -> Frame:
    return Frame(one.name, one.scene, one.truth, one.candidates)


def _bag_frames(arguments: argparse.Namespace) -> Iterator[Frame]:
    """Pair results and truth of equal stamps; say at the end what had no partner."""
    from robot_perception.bag import recorded_scenes  # noqa: PLC0415 - loads rosbags
    from robot_perception.evaluation import pair_by_stamp, truth_of_bag  # noqa: PLC0415

    scenes = (one.scene for one in recorded_scenes(arguments.predictions, arguments.node))
    paired = only_found = only_true = 0
    for scene, truth in pair_by_stamp(scenes, truth_of_bag(arguments.truth)):
        if scene is not None and truth is not None:
            paired += 1
            if scene.image.size_hw == truth.image.size_hw:
                # Results are recorded without their picture.
                scene = replace(scene, image=truth.image)  # noqa: PLW2901
            yield Frame(f'stamp {scene.image.stamp_ns}', scene, truth)
        else:
            only_found += scene is not None
            only_true += truth is not None
    if not paired:
        raise SourceError(
            f'{arguments.predictions}: expected results of the stamps in {arguments.truth}, got '
            f'none of {only_found} and {only_true}. Are they of one recording?'
        )
    print(
        'note: bags hold what scored above the threshold of their time, so that AP is a lower '
        'bound.',
        file=sys.stderr,
    )
    if only_found or only_true:
        print(
            f'note: {only_true} true frames have no result and {only_found} results no truth; '
            f'{paired} were evaluated.',
            file=sys.stderr,
        )
