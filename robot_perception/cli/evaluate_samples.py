"""Answers, names and scene types against samples, for `robot-perception evaluate --samples`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
import json
import logging
from pathlib import Path
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.cli.output_paths import check_new_folder, new_folder
from robot_perception.cli.results import print_results
from robot_perception.cli.settings import load_pipeline, log_licenses, read_settings
from robot_perception.core import (
    ConfigError,
    Image,
    InputError,
    ModelError,
    Scene,
    Stage,
    write_bytes,
)
from robot_perception.pipeline import (
    DescriberProcess,
    PerceptionConfig,
    PerceptionPipeline,
    Question,
    read_image,
)

if TYPE_CHECKING:
    from robot_perception.evaluation import Sample

_LOG = logging.getLogger(__name__)
# Errors after which other questions may be answered.
_OF_ONE_QUESTION = ('timeout', 'process_ended')
_RESULTS, _PREDICTIONS = 'results.json', 'predictions.json'
_OTHER_FLAGS = ('world', 'truth', 'given', 'baseline', 'fit_calibration', 'images')


def add_samples(parser: argparse.ArgumentParser) -> None:
    """Add the flag --samples."""
    parser.add_argument(
        '--samples',
        type=Path,
        metavar='FILE',
        help='questions, names and scene types of images with their truth (.json): evaluate '
        '--predictions, or run the networks and the describer on the images',
    )


def run_samples(arguments: argparse.Namespace) -> int:
    """Evaluate predictions for samples, write results and predictions; return the exit code.

    Raises:
        ConfigError: conflicting flags.
        SourceError: a file cannot be read.
    """
    from robot_perception import evaluation  # noqa: PLC0415 - for this verb

    for name in _OTHER_FLAGS:
        if getattr(arguments, name):
            flag = name.replace('_', '-')
            raise ConfigError(
                'conflicting_flags', f'--{flag}: expected without --samples, got both.'
            )
    inputs = (arguments.samples, arguments.predictions)
    check_new_folder(arguments.output, inputs, force=arguments.force)
    samples = evaluation.read_samples(arguments.samples)
    with new_folder(arguments.output) as output:
        file = arguments.predictions
        if file is None:
            file = output / _PREDICTIONS
            predictions = list(_predict(arguments, samples))
            write_bytes(file, f'{json.dumps(predictions, indent=2)}\n'.encode())
        report = evaluation.evaluate_samples(samples, evaluation.read_predictions(file, samples))
        document = report.as_json()
        write_bytes(output / _RESULTS, f'{json.dumps(document, indent=2)}\n'.encode())
    text = f'{report.as_text()}\nwrote {_RESULTS} to {arguments.output.resolve()}'
    print_results(arguments, document, text.lstrip())
    return 0


def _predict(arguments: argparse.Namespace, samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """Run the networks on the images of samples and ask their questions, in order."""
    asked = next((sample.asked for sample in samples if sample.asked), ())
    if asked and not arguments.prompt:
        # So that a preset chooses a detector that takes prompts; each sample has its own.
        arguments.prompt = list(asked)
    config = read_settings(arguments)
    has_questions = any(sample.question is not None for sample in samples)
    if has_questions and not config.describer.model:
        _LOG.warning(
            'note: questions are left out; --set describer.model=NAME names a network for them.'
        )
    if has_questions:
        log_licenses(config.describer.model)
    pipeline: PerceptionPipeline | None = None
    folder = arguments.samples.parent
    bar = tqdm(total=len(samples), unit='sample', disable=arguments.quiet or None)
    with closing(DescriberProcess()) as describer, bar:
        for name, group in groupby(samples, lambda sample: sample.image):
            image = read_image(folder / name)
            scenes: dict[tuple[str, ...], Scene] = {}
            for sample in group:
                prediction: dict[str, Any] = {'image': name}
                if sample.objects is not None or sample.scene is not None or sample.asked:
                    if sample.asked not in scenes:
                        pipeline = pipeline or load_pipeline(config, [str(folder / name)])
                        scenes[sample.asked] = _process(pipeline, config, sample, image)
                    prediction.update(_of_scene(scenes[sample.asked]))
                if sample.question is not None and config.describer.model:
                    prediction['question'] = sample.question
                    answer = _answer(describer, config, sample.question, image)
                    if answer is not None:
                        prediction['answer'] = answer
                yield prediction
                bar.update()


def _process(
    pipeline: PerceptionPipeline, config: PerceptionConfig, sample: Sample, image: Image
) -> Scene:
    """Return the results for an image, which is none of a sequence.

    For a sample with names to look for, these are the prompts, and only the detector runs
    unless the type of the scene is known too.
    """
    if sample.asked:
        skipped = [] if sample.scene is not None else [one for one in Stage if one != 'detector']
        config = config.with_values(
            {
                'detector.prompts': ', '.join(sample.asked),
                **{f'{stage}.enabled': False for stage in skipped},
            }
        )
    pipeline.reset()
    pipeline.reconfigure(config)
    return pipeline.process(image)


def _answer(
    describer: DescriberProcess, config: PerceptionConfig, text: str, image: Image
) -> str | None:
    """Return the answer to a question, None if this one could not be answered."""
    try:
        answer = describer.ask(config, Question(text, image))
    except (InputError, ModelError) as error:
        if isinstance(error, ModelError) and error.reason not in _OF_ONE_QUESTION:
            raise
        _LOG.warning('no answer to %r: %s', text, error)
        return None
    if answer.note:
        _LOG.warning('note: %s', answer.note)
    return answer.text


def _of_scene(scene: Scene) -> dict[str, Any]:
    """Return names, boxes and the type of a scene as a prediction; without what did not run."""
    found: dict[str, Any] = {}
    if scene.detections is not None:
        found['objects'] = [
            {'name': item.class_name, 'box': [round(side, 2) for side in item.box_xyxy]}
            for item in scene.detections
        ]
    if scene.scene_classes is not None and len(scene.scene_classes):
        found['scene_type'] = scene.scene_classes.names[0]
    return found
