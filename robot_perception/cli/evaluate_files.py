"""Reads predictions and ground truth from files for `robot-perception evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from robot_perception.cli.text import counted
from robot_perception.core import ConfigError, MILLIMETER_M, SourceError
from robot_perception.fleet import is_fleet_output, result_bags

if TYPE_CHECKING:
    from robot_perception.evaluation import PredictedFrame
    from robot_perception.pipeline import PerceptionConfig
    from robot_perception.viewer import JsonValue

_LOG = logging.getLogger(__name__)
_COCO, _DEPTH, _BAG, _FLEET = 'COCO JSON', 'depth images', 'bag', 'output of a fleet'

# Endings of recordings that are single files.
_FILES = ('.mcap', '.db3')


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Frames to evaluate, and where they come from.

    Attributes:
        frames: produced one at a time.
        count: number of frames, None if unknown.
        source: entries of results.json.
        about: entries of the page.
        config: parameters of the networks, None for predictions from files.
        of_fleet: whether the frames are of many recordings, each of which gets figures.
    """

    frames: Iterator[PredictedFrame]
    count: int | None
    source: Mapping[str, JsonValue]
    about: Mapping[str, str]
    config: PerceptionConfig | None = None
    of_fleet: bool = False


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group('files, instead of --world')
    group.add_argument(
        '--predictions',
        type=Path,
        metavar='PATH',
        help='result bag, output of a fleet, COCO results (.json, panoptic too), or folder of '
        'depth images (16-bit PNG) or of class images (PNG and classes.json)',
    )
    group.add_argument(
        '--truth',
        type=Path,
        metavar='PATH',
        help='bag with /truth topics, folder of them for a fleet, COCO annotations (.json, '
        'panoptic too), or folder of depth or class images',
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
    if kinds[0] == _FLEET:
        return _fleet_job(arguments)
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
    if is_fleet_output(path):
        return _FLEET
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
    return None, _with_note(_bag_frames(arguments.predictions, arguments.truth, arguments.node))


def _fleet_job(arguments: argparse.Namespace) -> Job:
    """Return the frames of all recordings that a fleet has processed.

    The ground truth of the recording ``bags/day_1/run`` is the bag ``bags/day_1/run``,
    ``day_1/run`` or ``run`` below --truth.

    Raises:
        SourceError: no recording has ground truth.
    """
    pairs: dict[str, tuple[Path, Path]] = {}
    results = result_bags(arguments.predictions)
    for name, bag in results.items():
        parts = Path(name).parts
        candidates = [arguments.truth.joinpath(*parts[i:]) for i in range(len(parts))]
        files = [one.with_name(f'{one.name}{suffix}') for one in candidates for suffix in _FILES]
        truth = next((one for one in (*candidates, *files) if one.exists()), None)
        if truth is not None:
            pairs[name] = bag, truth
    if not pairs:
        raise SourceError(
            'no_common_frames',
            f'{arguments.truth}: expected bags with the names of the recordings in '
            f'{arguments.predictions}, got none of {len(results)}. Pass the folder of the '
            'recordings, or one with their ground truth.',
        )
    missing = sorted(set(results) - set(pairs))
    if missing:
        _LOG.warning(
            'note: %s without ground truth, among them %s.',
            counted(len(missing), 'recording'),
            missing[0],
        )
    frames = (
        frame
        for name, (bag, truth) in pairs.items()
        for frame in _bag_frames(bag, truth, arguments.node, name)
    )
    paths = {'predictions': str(arguments.predictions), 'truth': str(arguments.truth)}
    return Job(
        _with_note(frames),
        None,
        {'files': {'kind': _FLEET, **paths, 'recordings': len(pairs)}},
        {'Predictions': f'{arguments.predictions.name}, {len(pairs)} recordings'},
        of_fleet=True,
    )


def _with_note(frames: Iterator[PredictedFrame]) -> Iterator[PredictedFrame]:
    """Yield the frames, then print a note on results that are read from bags."""
    yield from frames
    _LOG.warning(
        'note: result bags only contain detections above the score threshold of their run, so AP '
        'is a lower bound.'
    )


def _bag_frames(
    predictions: Path, truth_bag: Path, node: str, recording: str = ''
) -> Iterator[PredictedFrame]:
    """Pair results and ground truth by time stamp; print a note on unpaired frames at the end."""
    from robot_perception.bag import read_results  # noqa: PLC0415 - loads rosbags
    from robot_perception.evaluation import (  # noqa: PLC0415 - for this verb
        pair_by_stamp,
        PredictedFrame,
        read_bag_ground_truth,
    )

    scenes = (one.scene for one in read_results(predictions, node))
    paired = only_results = only_truth = 0
    for scene, truth in pair_by_stamp(scenes, read_bag_ground_truth(truth_bag)):
        if scene is not None and truth is not None:
            paired += 1
            if scene.image.size_hw == truth.image.size_hw:
                # Results are recorded without their image.
                scene = replace(scene, image=truth.image)  # noqa: PLW2901
            name = f'{recording} stamp {scene.image.stamp_ns}'.strip()
            yield PredictedFrame(name, scene, truth, recording=recording)
        else:
            only_results += scene is not None
            only_truth += truth is not None
    if not paired:
        raise SourceError(
            'no_common_frames',
            f'{predictions}: expected results with the time stamps of '
            f'{truth_bag}, got none among {only_results} and {only_truth}. Use bags of the '
            'same recording.',
        )
    if only_results or only_truth:
        _LOG.warning(
            'note: %d ground truth frames have no result and %d results no ground truth; %d '
            'frames were evaluated.',
            *(only_truth, only_results, paired),
        )
