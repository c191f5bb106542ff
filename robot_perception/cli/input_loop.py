"""Inputs of the verbs that show or export scenes, and the loop over their frames."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, ExitStack
from functools import partial
from itertools import chain
import logging
import math

from tqdm import tqdm

from robot_perception.bag import iter_scenes, NODE
from robot_perception.cli.log import log_error
from robot_perception.cli.settings import (
    add_settings,
    check_settings,
    load_pipeline,
    read_settings,
)
from robot_perception.cli.stage_times import StageTimes
from robot_perception.core import (
    ConfigError,
    InputError,
    NANOSECONDS_PER_SECOND,
    Scene,
    SourceError,
)
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.sources import NOMINAL_HFOV_DEG

_LOG = logging.getLogger(__name__)
INPUTS_HELP = 'result bag, camera bag, video, image, folder of images or webcam index'
EXIT_CODES = """\
exit codes: 0 all frames, 1 no frame, no networks or output not writable, 2 bad arguments,
3 some input not readable, 130 interrupted; frames processed until then are kept"""

# Receives a scene and its frame number.
Add = Callable[[Scene, int], None]
Target = Callable[[], AbstractContextManager[Add]]

_EXIT_FAILED, _EXIT_PARTLY, _EXIT_INTERRUPTED = 1, 3, 130


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add INPUT, --seconds, --node, --hfov and the parameters of the pipeline."""
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help=INPUTS_HELP)
    parser.add_argument(
        '--seconds',
        type=float,
        default=math.inf,
        metavar='S',
        help='end each input after S seconds, such as that of a webcam (default: its end)',
    )
    parser.add_argument(
        '--node',
        default=NODE,
        metavar='NAME',
        help='name of the node whose results are in the bag (default: %(default)s)',
    )
    parser.add_argument(
        '--hfov',
        type=float,
        metavar='DEGREES',
        help='horizontal field of view to assume if no calibration is recorded '
        f'(default: that of the EXIF data of a picture, otherwise {NOMINAL_HFOV_DEG})',
    )
    add_settings(parser)


def check_hfov(degrees: float | None) -> None:
    """Raise ConfigError unless a pinhole camera can have the field of view."""
    if degrees is not None and not 0 < degrees < 180:  # noqa: PLR2004 - a pinhole covers less than a half space
        raise ConfigError(
            'out_of_range', f'--hfov: expected above 0 and below 180 degrees, got {degrees}.'
        )


def check_seconds(seconds: float) -> None:
    """Raise ConfigError unless it is above 0."""
    if not seconds > 0:
        raise ConfigError(
            'out_of_range', f'--seconds: expected a number above 0, got {seconds:g}.'
        )


class InputLoop:
    """Processes the frames of all inputs in order, numbered from 0.

    Attributes:
        frames: number of scenes processed so far.
        spec: the input that is being processed.
        class_names: index -> name of all classes of the detectors so far, where known.
        caveat: what limits the networks that were used, empty if nothing does.
        caption: the same in a few words, for pictures.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Check the flags without reading any input; raise ConfigError for a bad one."""
        check_hfov(arguments.hfov)
        check_seconds(arguments.seconds)
        self._arguments = arguments
        check_settings(arguments)
        self._pipeline: PerceptionPipeline | None = None
        self._notes: Counter[str] = Counter()
        self._code = 0
        self.frames = 0
        self.spec = ''
        self.class_names: dict[int, str] = {}
        self.caveat = self.caption = ''
        self._uses_networks = False
        self._times = StageTimes()

    def run(self, target: Target) -> int:
        """Pass every scene to a target, which is opened for the first one; return the exit code.

        Ctrl-C ends the loop like the end of the inputs.

        Raises:
            OutputError: from the target.
            ModelError: networks cannot be loaded or run.
        """
        with ExitStack() as stack:
            self._loop(partial(stack.enter_context, target()))
            self._times.save()
            for note, count in self._notes.items():
                _LOG.warning('note: %s%s', note, f' ({count} frames)' if count > 1 else '')
        if self._code == _EXIT_PARTLY and not self.frames:
            return _EXIT_FAILED
        return self._code

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended the loop before the inputs did."""
        return self._code == _EXIT_INTERRUPTED

    def _loop(self, begin: Callable[[], Add]) -> None:
        with tqdm(unit=' frames', disable=self._arguments.quiet or None) as bar:
            add: Add | None = None
            scenes = map(self._readable_scenes, self._arguments.inputs)
            try:
                for scene in chain.from_iterable(scenes):
                    add = add or begin()
                    add(scene, self.frames)
                    self.frames += 1
                    bar.update()
            except KeyboardInterrupt:
                self._code = _EXIT_INTERRUPTED

    def _readable_scenes(self, spec: str) -> Iterator[Scene]:
        """Yield the scenes of an input until an error, which is logged."""
        flags = self._arguments
        self._uses_networks = False
        self.spec = spec
        try:
            with closing(
                iter_scenes(
                    spec,
                    partial(self._networks, spec),
                    note=self._note,
                    node=flags.node,
                    hfov_deg=flags.hfov,
                    classes=self.class_names.update,
                )
            ) as scenes:
                for scene in _beginning(scenes, flags.seconds):
                    if self._pipeline is not None and self._uses_networks:
                        self._times.add(self._pipeline.config, scene)
                    yield scene
        except (SourceError, InputError) as error:
            self._code = _EXIT_PARTLY
            log_error(flags.verb, error)

    def _networks(self, spec: str) -> PerceptionPipeline:
        """Load the networks for an input, or return those of the one before it."""
        self._uses_networks = True
        config = read_settings(self._arguments, [spec])
        if self._pipeline is None or self._pipeline.config != config:
            self._pipeline = load_pipeline(config, [spec])
            self.caveat, self.caption = config.caveat, config.caption
        return self._pipeline

    def _note(self, text: str) -> None:
        self._notes[text] += 1


def _beginning(scenes: Iterator[Scene], seconds: float) -> Iterator[Scene]:
    """Yield scenes until their stamps are so many seconds after the first."""
    first_ns: int | None = None
    for scene in scenes:
        stamp_ns = scene.image.stamp_ns
        first_ns = stamp_ns if first_ns is None else first_ns
        if stamp_ns - first_ns > seconds * NANOSECONDS_PER_SECOND:
            return
        yield scene
