"""The stage that classifies whole images, by classes of the network or by labels in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from robot_perception.core import ConfigError, Float32Array, SceneClasses
from robot_perception.models.families.interfaces import ImageTextFamily, SceneFamily
from robot_perception.models.outputs import to_numpy
from robot_perception.models.runtimes.long_work import compiling
from robot_perception.models.scene_labels import choose_labels, PARAMETER
from robot_perception.models.stages import NetworkStage
from robot_perception.models.uploaded_image import UploadedImage

# Texts whose vectors are kept.
_MAX_VECTORS = 1000
# Labels of the comparison with torch.
_SAMPLE_LABELS = ('kitchen', 'office', 'corridor')


class NetworkSceneClassifier(NetworkStage[SceneFamily]):
    """Classifies images by the classes of the network."""

    def run(self, image: UploadedImage) -> SceneClasses:
        """Run the whole stage."""
        return self.classify(image, ())

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id, as in config.json."""
        return self.family.class_names

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise ConfigError if ``labels`` name a class that the network lacks."""
        choose_labels(labels, self.family.class_names)

    def classify(self, image: UploadedImage, labels: Sequence[str]) -> SceneClasses:
        """Return the probabilities of the classes in ``labels``, of all without labels."""
        return self.classify_many([image], labels)[0]

    def classify_many(
        self, images: Sequence[UploadedImage], labels: Sequence[str]
    ) -> list[SceneClasses]:
        """Return the classes of images of one size, computed together."""
        names = self.family.class_names
        chosen = choose_labels(labels, names)
        chosen_names = tuple(names[index] for index in chosen)
        self._check(images[0])
        with self._computing():
            return [
                SceneClasses.sorted(
                    self._checkpoint.name, chosen_names, self.family.read(outputs)[chosen]
                )
                for outputs in self._run_many('image', self.prepare(*images))
            ]


class NetworkImageTextClassifier(NetworkStage[ImageTextFamily]):
    """Compares images with texts; the vector of a text is computed once."""

    class_names = ()

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Load the networks; arguments as of `NetworkStage`."""
        # Those of texts, the one that was used last at the end.
        self._vectors: dict[str, torch.Tensor] = {}
        super().__init__(*arguments, **options)

    def run(self, image: UploadedImage) -> SceneClasses:
        """Run the whole stage with a few labels."""
        # Each runtime is to compute their vectors itself.
        kept, self._vectors = self._vectors, {}
        try:
            return self.classify(image, _SAMPLE_LABELS)
        finally:
            self._vectors = kept

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise ConfigError if there are none, or some that the network cannot take."""
        if not labels:
            raise ConfigError(
                'no_labels',
                f'{PARAMETER}: expected classes for a network that compares images with text, got '
                'none. Set it, for example to "kitchen, office, corridor".',
            )
        for label in labels:
            self.family.tokenize(self.family.template.format(label))

    def classify(self, image: UploadedImage, labels: Sequence[str]) -> SceneClasses:
        """Return the score of each label."""
        return self.classify_many([image], labels)[0]

    def classify_many(
        self, images: Sequence[UploadedImage], labels: Sequence[str]
    ) -> list[SceneClasses]:
        """Return the classes of images of one size, computed together."""
        if not labels:
            self.check_labels(labels)
        self._check(images[0])
        with self._computing():
            texts = [self._text_vector(self.family.template.format(label)) for label in labels]
            vectors = torch.cat(texts)
            return [
                SceneClasses.sorted(
                    self._checkpoint.name, tuple(labels), self.family.read(image, vectors)
                )
                for (image,) in self._run_many('image', self.prepare(*images))
            ]

    def embed_image(self, image: UploadedImage) -> Float32Array:
        """Return the vector of an image: (D,), of length 1."""
        self._check(image)
        with self._computing():
            (vector,) = self._networks('image', self.prepare(image))
            return to_numpy(vector[0])

    def embed_text(self, text: str) -> Float32Array:
        """Return the vector of a text: (D,), of length 1.

        Raises:
            ConfigError: the network cannot take this text.
        """
        with self._computing():
            return to_numpy(self._text_vector(text)[0])

    def _text_vector(self, text: str) -> torch.Tensor:
        known = self._vectors.pop(text, None)
        if known is None:
            tokens = self.family.tokenize(text).to(self.placement.device)
            # Many texts take longer than any image.
            with compiling():
                (known,) = self._networks('text', tokens)
        self._vectors[text] = known
        if len(self._vectors) > _MAX_VECTORS:
            self._vectors.pop(next(iter(self._vectors)))
        return known
