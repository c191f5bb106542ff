"""The classes that are wanted of a detector or of a network of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from robot_perception.core import ConfigError, Detections
from robot_perception.models import (
    DEMO,
    DEMO_WORDS,
    Detector,
    PromptedDetector,
    PromptedSemanticSegmenter,
    SemanticSegmenter,
    UploadedImage,
)
from robot_perception.pipeline.config_stages import DetectorConfig, SemanticsConfig, split_names

_LISTED = 10
_EXAMPLE = 'google/owlv2-base-patch16-ensemble'
_LABELED_EXAMPLE = 'CIDAS/clipseg-rd64-refined'
# More than any detector finds.
_ALL = 10_000


def choose_classes(detector: Detector | PromptedDetector, config: DetectorConfig) -> Detector:
    """Return a detector of the classes that ``detector.prompts`` or ``detector.classes`` names.

    Raises:
        ConfigError: the detector has no such class, takes no prompts, or needs some.
    """
    prompts, classes = config.prompt_names, split_names(config.classes)
    if isinstance(detector, PromptedDetector):
        if classes:
            raise ConfigError(
                'prompts_only',
                f'detector.classes: expected none, since {config.model} detects what '
                f'detector.prompts names; got {", ".join(classes)}. Set detector.prompts to '
                'these, and detector.classes to nothing.',
            )
        return detector.prompted(prompts)
    if prompts:
        example = f'{_EXAMPLE} after "robot-perception models pull {_EXAMPLE}"'
        raise ConfigError(
            'no_prompted_detector',
            f'detector.prompts: expected none, since {config.model} has a fixed list of '
            f'{len(detector.class_names)} classes; got {", ".join(prompts)}. Set detector.model '
            'to a network that takes prompts, such as '
            f'{DEMO_WORDS if config.model == DEMO else example}; or choose from its classes with '
            f'detector.classes: it has {_few(detector.class_names)}.',
        )
    if not classes:
        return detector
    names = detector.class_names
    return _FilteredDetector(
        detector, find_class_ids('detector.classes', 'detector', names, classes)
    )


def choose_pixel_classes(
    segmenter: SemanticSegmenter | PromptedSemanticSegmenter, config: SemanticsConfig
) -> SemanticSegmenter:
    """Return a network of every pixel with the classes that ``semantics.labels`` names.

    Raises:
        ConfigError: the network takes no labels, or needs some.
    """
    labels = config.label_names
    if isinstance(segmenter, PromptedSemanticSegmenter):
        return segmenter.labeled(labels, config.threshold)
    if labels:
        raise ConfigError(
            'fixed_classes',
            f'semantics.labels: expected none, since {config.model} has a fixed list of '
            f'{len(segmenter.class_names)} classes; got {", ".join(labels)}. Set it to nothing, '
            f'or set semantics.model to a network that takes labels, such as {_LABELED_EXAMPLE} '
            f'after "robot-perception models pull {_LABELED_EXAMPLE}".',
        )
    return segmenter


def find_class_ids(
    parameter: str, network: str, names: Sequence[str], classes: Sequence[str]
) -> frozenset[int]:
    """Return the ids of classes in a list of names, upper or lower case.

    Args:
        parameter: that names the classes.
        network: what has them, such as "detector".
        names: those of the network, by class id.
        classes: to look up.

    Raises:
        ConfigError: there is no such class.
    """
    ids = {name.casefold(): index for index, name in enumerate(names)}
    for name in map(str.casefold, classes):
        if name not in ids:
            nearest = [names[ids[one]] for one in get_close_matches(name, ids, 1)]
            raise ConfigError(
                'unknown_class',
                f"{parameter}: expected names of the {network}'s {len(names)} classes, "
                f'got {name!r}. {f"Nearest: {nearest[0]}. " if nearest else ""}'
                f'It has {_few(names)}.',
            )
    return frozenset(ids[name.casefold()] for name in classes)


@dataclass(frozen=True, slots=True)
class _FilteredDetector:
    """Returns the detections of some classes."""

    detector: Detector
    ids: frozenset[int]

    @property
    def class_names(self) -> Sequence[str]:
        return self.detector.class_names

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        # Those of other classes do not count.
        found = self.detector.detect(image, threshold=threshold, max_objects=_ALL)
        return found[np.flatnonzero(np.isin(found.class_ids, list(self.ids)))[:max_objects]]


def _few(names: Sequence[str]) -> str:
    rest = len(names) - _LISTED
    return ', '.join(names[:_LISTED]) + (f' and {rest} others' if rest > 0 else '')
