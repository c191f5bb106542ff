"""``robot-perception evaluate``: measures results against ground truth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
import json
import logging
from pathlib import Path
import sys
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.cli.command import add_command
from robot_perception.cli.evaluate_files import add_files, Job, read_files
from robot_perception.cli.evaluate_samples import add_samples, run_samples
from robot_perception.cli.evaluate_semantics import evaluate_semantics, find_semantic_kind
from robot_perception.cli.output_paths import (
    add_output,
    check_new_file,
    check_new_folder,
    new_folder,
)
from robot_perception.cli.rendered_truth import ground_truth, read_test_seeds, render_scenes
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.settings import add_settings, log_licenses, read_settings
from robot_perception.cli.world import add_size, read_size_hw
from robot_perception.core import ConfigError, MetricDepth, write_bytes
from robot_perception.pipeline import keep_freed_memory, loaded_models

if TYPE_CHECKING:
    from robot_perception.evaluation import (
        Baseline,
        CalibrationFit,
        EvaluationPipeline,
        PredictedFrame,
    )
    from robot_perception.pipeline import PerceptionConfig
    from robot_perception.viewer import JsonValue
    from robot_perception.world import WorldFrame

_LOG = logging.getLogger(__name__)
_RESULTS, _PAGE = 'results.json', 'report.html'
_EPILOG = """\
exit codes: 0 evaluated, 1 failed (no networks, unreadable files, folder not writable),
2 bad arguments, 130 interrupted; the folder appears when it is complete

examples:
  robot-perception evaluate --world 900000:900200
  robot-perception evaluate --world 900000:900050 -o robot --preset robot
  robot-perception evaluate --world 900000:900200 --given depth,objects
  robot-perception evaluate --world 900000:900300 --fit-calibration calibration.json
  robot-perception evaluate --predictions results_bag --truth scene_bag
  robot-perception evaluate --predictions fleet_results --truth bags
  robot-perception evaluate --predictions detections.json --truth instances.json --images val/
  robot-perception evaluate --predictions depth/ --truth true_depth/
  robot-perception evaluate --samples samples.json --predictions predictions.json
  robot-perception evaluate --predictions found/semantics/ --truth true_classes/
  robot-perception evaluate --predictions found.json --truth panoptic_val2017.json
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'evaluate',
        run,
        help='measure networks on rendered scenes, or recorded results, against ground truth',
        description='Runs the networks on scenes of the demo world, or reads results from files, '
        'and compares them with ground truth: boxes, masks, depth, 3D positions and tracks. '
        'Writes results.json, report.html and images of the worst frames.',
        epilog=_EPILOG,
    )
    parser.add_argument('--world', metavar='A:B', help='seeds of the scenes: A to B-1')
    add_output(parser, 'evaluation_output')
    add_json(parser)
    add_size(parser)
    parser.add_argument(
        '--worst',
        type=int,
        default=20,
        metavar='N',
        help='write images of the N worst frames, and of at most N more that are the worst of a '
        'kind of error or a class (default: %(default)s)',
    )
    parser.add_argument(
        '--baseline',
        type=Path,
        metavar='FILE',
        help='results.json of an earlier evaluation, to show beside this one in report.html',
    )
    parser.add_argument(
        '--given',
        default='',
        metavar='PARTS',
        help='with --world: use ground truth instead of networks for depth, objects (boxes, '
        'classes and masks) or both (depth,objects), to measure the other stages alone',
    )
    parser.add_argument(
        '--fit-calibration',
        type=Path,
        metavar='FILE',
        help='fit scores and positions to the ground truth, and write them as JSON for the '
        'parameters detector.calibration and depth.calibration',
    )
    add_samples(parser)
    add_files(parser)
    add_settings(parser, preset='demo')


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and return the exit code."""
    from robot_perception import evaluation  # noqa: PLC0415 - for this verb

    if arguments.worst < 0:
        raise ConfigError('out_of_range', f'--worst: expected 0 or more, got {arguments.worst}.')
    if arguments.samples is not None:
        check_json(arguments)
        return run_samples(arguments)
    files = arguments.predictions is not None or arguments.truth is not None
    if files == (arguments.world is not None):
        raise ConfigError(
            'conflicting_flags',
            '--world: expected either --world A:B, or --predictions and --truth.',
        )
    if files and arguments.given:
        raise ConfigError(
            'conflicting_flags',
            '--given: expected --world with it, got files, which contain all results.',
        )
    check_json(arguments)
    inputs = (arguments.predictions, arguments.truth)
    check_new_folder(arguments.output, inputs, force=arguments.force)
    _check_fit(arguments)
    baseline = None if arguments.baseline is None else evaluation.read_baseline(arguments.baseline)
    if files and None not in inputs:
        kind = find_semantic_kind(*inputs)
        if kind is not None:
            with new_folder(arguments.output) as output:
                document, text = evaluate_semantics(kind, arguments, output / _RESULTS)
            print_results(arguments, document, f'{text} {arguments.output.resolve()}')
            return 0
    # First, so that a folder that cannot be written stops it before networks are loaded.
    with new_folder(arguments.output) as output:
        job = read_files(arguments) if files else _world(arguments)
        fit = None if arguments.fit_calibration is None else _start_fit(job.config)
        document, text = _evaluate(job, fit, baseline, output, arguments)
    print_results(arguments, document, f'{text} {arguments.output.resolve()}')
    if fit is not None:
        fitted = fit.result()
        text = json.dumps(fitted.as_json(), indent=2)
        write_bytes(arguments.fit_calibration, (text + '\n').encode())
        _LOG.info('wrote %s: fitted %s', arguments.fit_calibration.resolve(), fitted)
    return 0


def _evaluate(
    job: Job,
    fit: CalibrationFit | None,
    baseline: Baseline | None,
    output: Path,
    arguments: argparse.Namespace,
) -> tuple[Mapping[str, JsonValue], str]:
    """Evaluate all frames and write the files; return the results as JSON values and as text."""
    from robot_perception import evaluation  # noqa: PLC0415 - for this verb

    metrics = evaluation.Evaluation()
    worst = evaluation.HardestFrames(arguments.worst)
    bar = tqdm(job.frames, total=job.count, unit='frame', disable=arguments.quiet or None)
    for frame in bar:
        errors = metrics.add(
            frame.scene,
            frame.truth,
            candidates=frame.candidates,
            true_box_masks=frame.true_box_masks,
            box_matches=frame.box_matches,
            mask_matches=frame.mask_matches,
            recording=frame.recording,
        )
        if fit is not None:
            fit.add(
                frame.scene,
                frame.truth,
                candidates=frame.candidates,
                sensor_depth=frame.sensor_depth,
            )
        worst.add(evaluation.EvaluatedFrame(frame.name, frame.scene, frame.truth, errors))
    level = logging.INFO if sys.stderr.isatty() else logging.DEBUG
    _LOG.log(level, 'computing metrics and confidence intervals ...')
    report = metrics.report()
    cases = [*worst.cases(), *worst.cases_of_kinds()]
    results = evaluation.results_to_dict(
        report, job.source, job.config, [case.name for case in cases]
    )
    images = evaluation.write_hardest_frames(cases, output)
    evaluation.write_page(report, cases, job.about, output / _PAGE, baseline)
    parts = [report.as_text()]
    if job.of_fleet:
        reports = metrics.reports()
        results['recordings'] = {name: one.as_json() for name, one in reports.items()}
        parts.insert(0, f'{evaluation.recordings_table(reports).as_text()}\n\nall recordings')
    text = '\n'.join(parts) + f'\nwrote {_RESULTS}, {_PAGE} and {len(images)} images to'
    evaluation.write_results(results, output / _RESULTS)
    return results, text


def _check_fit(arguments: argparse.Namespace) -> None:
    """Raise ConfigError or OutputError unless a calibration can be fitted and written."""
    path = arguments.fit_calibration
    if path is None:
        return
    if arguments.given:
        raise ConfigError(
            'conflicting_flags',
            '--fit-calibration: expected results of networks alone, got --given. Leave it out.',
        )
    if arguments.world is None and arguments.predictions.suffix.lower() != '.json':
        raise ConfigError(
            'conflicting_flags',
            f'--fit-calibration: expected --world or COCO results, got {arguments.predictions}, '
            'which lacks the uncalibrated scores and the depth of the sensor. Use --world.',
        )
    check_new_file('--fit-calibration', path, force=arguments.force)


def _start_fit(config: PerceptionConfig | None) -> CalibrationFit:
    """Return an empty fit that starts from the calibrations of a configuration, None for files."""
    from robot_perception.evaluation import CalibrationFit  # noqa: PLC0415 - for this verb
    from robot_perception.pipeline import (  # noqa: PLC0415 - for this verb
        LocationUncertainty,
        ScoreCalibration,
    )

    if config is None:
        return CalibrationFit(ScoreCalibration(), {})
    return CalibrationFit(
        ScoreCalibration.from_config(config), LocationUncertainty.from_config(config).errors
    )


def _world(arguments: argparse.Namespace) -> Job:
    """Run networks on scenes of the demo world."""
    from robot_perception import evaluation  # noqa: PLC0415 - for this verb

    config = read_settings(arguments)
    given = tuple(filter(None, arguments.given.split(',')))
    evaluation.check_given(given, config)
    size_hw = read_size_hw(arguments.size)
    seeds = read_test_seeds('--world', arguments.world)
    frames = render_scenes(seeds, size_hw)
    # As in the node, so that the timing is comparable.
    keep_freed_memory()
    networks = loaded_models(_without(config, given))
    log_licenses(*networks)
    pipeline = evaluation.EvaluationPipeline.load(config, given)
    return Job(
        _process(pipeline, frames, config),
        len(seeds),
        {
            'world': {
                'first_seed': seeds.start,
                'end_seed': seeds.stop,
                'height': size_hw[0],
                'width': size_hw[1],
                'given': list(given),
            }
        },
        {
            'Scenes of the demo world': f'seeds {seeds.start} to {seeds.stop - 1}',
            **({'Ground truth used for': ', '.join(given)} if given else {}),
            'Networks': ', '.join(networks) or 'none',
        },
        config,
    )


def _process(
    pipeline: EvaluationPipeline,
    frames: Iterator[tuple[int, WorldFrame]],
    config: PerceptionConfig,
) -> Iterator[PredictedFrame]:
    """Process frames, with the depth of the simulated sensor if the configuration needs it."""
    from robot_perception.evaluation import PredictedFrame  # noqa: PLC0415 - for this verb

    known: set[str] = set()
    for seed, frame in frames:
        truth = ground_truth(frame, config.detector.prompt_names)
        measured = _sensor_depth(frame, seed) if config.depth.source.uses_sensor else None
        result = pipeline.process(truth, measured)
        known.update(truth.detections.class_names)
        yield PredictedFrame(
            f'seed {seed}',
            *(result.scene, truth, result.candidates, result.true_box_masks, measured),
        )
    if pipeline.class_names and not set(pipeline.class_names) & known:
        _LOG.warning('note: the detector has none of the classes of these scenes.')


def _without(config: PerceptionConfig, given: Sequence[str]) -> PerceptionConfig:
    """Return a configuration without the stages whose results are given."""
    from robot_perception.evaluation import GIVEN_STAGES  # noqa: PLC0415 - as above

    stages = [stage for part in given for stage in GIVEN_STAGES[part]]
    return config.with_values({f'{stage}.enabled': False for stage in stages})


def _sensor_depth(frame: WorldFrame, seed: int) -> MetricDepth:
    """Return what the depth sensor of the demo world measures."""
    from robot_perception.world import depth_sensor_rng, sense_depth  # noqa: PLC0415 - as above

    return MetricDepth.from_millimeters(
        sense_depth(frame.depth, frame.camera, depth_sensor_rng(seed))
    )
