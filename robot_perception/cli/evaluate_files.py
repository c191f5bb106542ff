"""Reads predictions and ground truth from files for `robot-perception evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from robot_perception.core import ConfigError, MILLIMETER_M, SourceError

if TYPE_CHECKING:
    from robot_perception.evaluation import PredictedFrame
    from robot_perception.pipeline import PerceptionConfig
    from robot_perception.viewer import JsonValue

_LOG = logging.getLogger(__name__)
_COCO, _DEPTH, _BAG = 'COCO JSON', 'depth images', 'bag'


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Frames to evaluate, and where they come from.

    Attributes:
        frames: produced one at a time.
        count: number of frames, None if unknown.
        source: entries of results.json.
        about: entries of the page.
        config: parameters of the networks, None for predictions from files.
    """

    frames: Iterator[PredictedFrame]
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
        help='result bag, COCO results (.json), or folder of depth images (16-bit PNG)',
    )
    group.add_argument(
        '--truth',
        type=Path,
        metavar='PATH',
        help='bag with /truth topics, COCO annotations (.json), or folder of depth images',
    )
    group.add_argument(
        '--predictions-unit-m',
        type=float,
        default=MILLIMETER_M,
        metavar='METERS',
        help='unit of predicted depth images (default: %(default)s)',
    )
    group.add_argument(
        '--truth-unit-m',
        type=float,
        default=MILLIMETER_M,
        metavar='METERS',
        help='unit of true depth images: 0.0002 for TUM, 0.00390625 for KITTI (default: '
        '%(default)s)',
    )
    group.add_argument(
        '--node',
        default='/perception',
        metavar='NAME',
        help='name of the node whose results are in the bag (default: %(default)s)',
    )
    group.add_argument(
        '--images', type=Path, metavar='FOLDER', help='images of the COCO annotations, to draw on'
    )
    group.add_argument(
        '--threshold',
        type=float,
        default=0.5,
        metavar='SCORE',
        help='minimum score of COCO results, for all metrics except AP (default: %(default)s)',
    )


def read_files(arguments: argparse.Namespace) -> Job:
    """Open predictions and ground truth.

    Raises:
        ConfigError: conflicting flags.
        SourceError: a file cannot be read.
    """
    predictions, truth = arguments.predictions, arguments.truth
    if predictions is None or truth is None:
        missing = '--predictions' if predictions is None else '--truth'
        raise ConfigError(
            'missing_argument',
            f'{missing}: expected both --predictions and --truth, or --world A:B.',
        )
    if not 0 <= arguments.threshold <= 1:
        raise ConfigError(
            'out_of_range', f'--threshold: expected a score in [0, 1], got {arguments.threshold}.'
        )
    for name in ('config', 'device', 'set'):
        if getattr(arguments, name):
            raise ConfigError(
                'conflicting_flags', f'--{name}: expected with --world only; files run no network.'
            )
    kinds = _kind(predictions), _kind(truth)
    if kinds[0] != kinds[1]:
        raise ConfigError(
            'kind_mismatch',
            f'--predictions and --truth: expected the same kind of files, got {kinds[0]} '
            f'({predictions}) and {kinds[1]} ({truth}).',
        )
    if arguments.images is not None and kinds[0] != _COCO:
        raise ConfigError(
            'conflicting_flags',
            f'--images: expected with COCO annotations only, got {kinds[0]}.',
        )
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
        raise SourceError(
            'missing_file', f'{path}: expected an existing file or folder, got none.'
        )
    if path.suffix.lower() == '.json':
        return _COCO
    if path.is_dir() and any(path.glob('*.png')):
        return _DEPTH
    return _BAG


def _frames(
    arguments: argparse.Namespace, kind: str
) -> tuple[int | None, Iterator[PredictedFrame]]:
    from robot_perception import evaluation  # noqa: PLC0415 - for this verb

    if kind == _COCO:
        return evaluation.coco_frames(
            arguments.predictions,
            arguments.truth,
            threshold=arguments.threshold,
            images=arguments.images,
            note=partial(_LOG.warning, 'note: %s'),
        )
    if kind == _DEPTH:
        return evaluation.depth_frames(
            arguments.predictions,
            arguments.truth,
            predictions_unit_m=arguments.predictions_unit_m,
            truth_unit_m=arguments.truth_unit_m,
        )
    return None, _bag_frames(arguments)


def _bag_frames(arguments: argparse.Namespace) -> Iterator[PredictedFrame]:
    """Pair results and ground truth by time stamp; print a note on unpaired frames at the end."""
    from robot_perception.bag import read_results  # noqa: PLC0415 - loads rosbags
    from robot_perception.evaluation import (  # noqa: PLC0415 - for this verb
        pair_by_stamp,
        PredictedFrame,
        read_bag_ground_truth,
    )

    scenes = (one.scene for one in read_results(arguments.predictions, arguments.node))
    paired = only_results = only_truth = 0
    for scene, truth in pair_by_stamp(scenes, read_bag_ground_truth(arguments.truth)):
        if scene is not None and truth is not None:
            paired += 1
            if scene.image.size_hw == truth.image.size_hw:
                # Results are recorded without their image.
                scene = replace(scene, image=truth.image)  # noqa: PLW2901
            yield PredictedFrame(f'stamp {scene.image.stamp_ns}', scene, truth)
        else:
            only_results += scene is not None
            only_truth += truth is not None
    if not paired:
        raise SourceError(
            'no_common_frames',
            f'{arguments.predictions}: expected results with the time stamps of '
            f'{arguments.truth}, got none among {only_results} and {only_truth}. Use bags of the '
            'same recording.',
        )
    _LOG.warning(
        'note: result bags only contain detections above the score threshold of their run, so AP '
        'is a lower bound.'
    )
    if only_results or only_truth:
        _LOG.warning(
            'note: %d ground truth frames have no result and %d results no ground truth; %d '
            'frames were evaluated.',
            *(only_truth, only_results, paired),
        )
