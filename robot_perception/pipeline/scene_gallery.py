"""Classes of the whole image by the nearest of a few named pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
import re

import numpy as np

from robot_perception.core import (
    ConfigError,
    Float32Array,
    SceneClasses,
    SceneFeatures,
    SourceError,
)
from robot_perception.models import choose_labels, FeatureExtractor, UploadedImage
from robot_perception.pipeline.image_input import read_image

PARAMETER = 'scene.gallery'
_MIN_CLASSES = 2
_NUMBER = re.compile(r'[\s_.-]*\(?\d+\)?$')
_LAYOUT = (
    'Put a few pictures of each class into a folder of its name (kitchen/a.jpg), or number them '
    '(kitchen_1.jpg).'
)


class SceneGallery:
    """Named pictures, as vectors of length 1 in the features of one network.

    The score of a class is the cosine of the angle between the vector of an image and the nearest
    one of the pictures of the class; negative cosines have the score 0.
    """

    def __init__(self, folder: Path, extractor: FeatureExtractor) -> None:
        """Compute the features of the pictures in a folder.

        A subfolder holds the pictures of the class of its name. The name of a file in the folder
        itself is that of the class, without the number at its end. Hidden files are ignored.

        Raises:
            ConfigError: the folder is missing, has an empty subfolder, a file that is no picture
                or has no name of a class, or fewer than two classes.
        """
        pictures = sorted(_named_pictures(folder))
        self.class_names = tuple(dict.fromkeys(name for name, _ in pictures))
        if len(self.class_names) < _MIN_CLASSES:
            got = f'only {self.class_names[0]!r}' if self.class_names else 'no pictures'
            raise ConfigError(
                'too_few_classes',
                f'{PARAMETER}: expected pictures of at least two classes in {folder}, got {got}. '
                f'{_LAYOUT}',
            )
        self._owners = np.array([self.class_names.index(name) for name, _ in pictures])
        self._vectors = np.stack([_unit(_extract(file, extractor)) for _, file in pictures])

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise ConfigError if ``labels`` name a class without pictures."""
        choose_labels(labels, self.class_names)

    def classify_features(self, features: SceneFeatures, labels: Sequence[str]) -> SceneClasses:
        """Return the scores of ``labels``, without any of all classes, by features of an image."""
        cosines = self._vectors @ _unit(features)
        chosen = choose_labels(labels, self.class_names)
        best = np.array([cosines[self._owners == index].max() for index in chosen])
        order = np.argsort(-best, kind='stable')
        names = tuple(self.class_names[chosen[index]] for index in order)
        return SceneClasses(features.model, names, best[order].clip(0, 1))


def _named_pictures(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the class and the file of each picture."""
    for path in _visible(folder):
        if path.is_dir():
            files = [one for one in _visible(path) if not one.is_dir()]
            if not files:
                raise ConfigError(
                    'empty_class', f'{PARAMETER}: expected pictures in {path}, got none. {_LAYOUT}'
                )
            for file in files:
                yield path.name, file
            continue
        name = _NUMBER.sub('', path.stem)
        if not name:
            raise ConfigError(
                'no_class_name',
                f'{PARAMETER}: expected the name of a class before the number, got {path}. '
                f'{_LAYOUT}',
            )
        yield name, path


def _visible(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if not one.name.startswith('.')]
    except OSError as error:
        raise ConfigError(
            'missing_folder',
            f'{PARAMETER}: expected a readable folder, got {folder}: {error.strerror}. {_LAYOUT}',
        ) from error


def _extract(file: Path, extractor: FeatureExtractor) -> SceneFeatures:
    try:
        image = read_image(file)
    except SourceError as error:
        raise ConfigError(
            'unreadable_picture',
            f'{PARAMETER}: expected only pictures, got {error} Replace the file or remove it.',
        ) from error
    return extractor.extract(UploadedImage(image))


def _unit(features: SceneFeatures) -> Float32Array:
    """Return the vector with length 1; one of length 0 stays as it is."""
    length = np.linalg.norm(features.vector)
    unit: Float32Array = (features.vector / (length or 1)).astype(np.float32)
    return unit
