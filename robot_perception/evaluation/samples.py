"""Questions, names and scene types of images with their truth, and what was predicted for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

from robot_perception.core import SourceError

Box = tuple[float, float, float, float]
_MAX_BYTES = 2**28
_SIDES = 4


@dataclass(frozen=True, slots=True)
class NamedBox:
    """An object by its name.

    Attributes:
        name: of its class, or a phrase.
        box: left, top, right and bottom in pixels; None where it is not located.
    """

    name: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """An image with the truth about it; None where it is unknown.

    Attributes:
        image: path of the image, relative to the file of samples.
        question: what is asked about it.
        answers: the true answer, or those of several people.
        objects: what is in the image.
        absent: names to look for besides those of the objects, of which nothing is in the image.
        scene: type of the scene.
        kind: of the question, such as 'count', or of the names; empty if it is not stated.
            'presence' asks with yes or no whether something is there.
        sampling: how the question for something absent was chosen, such as 'popular'; it may be
            of several samplings. A question for something present without any is of all.
    """

    image: str
    question: str | None = None
    answers: tuple[str, ...] | None = None
    objects: tuple[NamedBox, ...] | None = None
    absent: tuple[str, ...] | None = None
    scene: str | None = None
    kind: str = ''
    sampling: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """Distinct names to look for, in alphabetic order; none where absent ones are unknown."""
        if self.absent is None:
            return ()
        return tuple(sorted({*self.absent, *(item.name for item in self.objects or ())}))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was predicted for a sample; None where nothing was.

    Attributes:
        answer: to the question.
        objects: what is in the image.
        grounded: phrase -> its boxes, best first; empty where it was not found.
        scene: type of the scene.
    """

    answer: str | None = None
    objects: tuple[NamedBox, ...] | None = None
    grounded: Mapping[str, tuple[Box, ...]] | None = None
    scene: str | None = None


def read_samples(path: Path) -> tuple[Sample, ...]:
    """Read a JSON list of samples; docs/evaluation.md has the format.

    Raises:
        SourceError: the file cannot be read, or an entry has a wrong type.
    """
    samples = tuple(_sample(entry) for entry in _entries(path))
    if not samples:
        raise SourceError('empty', f'{path}: expected at least one sample, got none.')
    return samples


def read_predictions(path: Path, samples: Sequence[Sample]) -> tuple[Prediction, ...]:
    """Read a JSON list of predictions, one for each sample in order.

    Raises:
        SourceError: the file cannot be read, an entry has a wrong type, or it does not belong to
            its sample.
    """
    entries = list(_entries(path))
    if len(entries) != len(samples):
        raise SourceError(
            'count_mismatch',
            f'{path}: expected a prediction for each of {len(samples)} samples, got '
            f'{len(entries)}. Write an empty object where there is none.',
        )
    for entry, sample in zip(entries, samples, strict=True):
        for key, expected in (('image', sample.image), ('question', sample.question)):
            if entry.text(key) not in {None, expected}:
                raise entry.error(
                    'sample_mismatch', f'{key} {expected!r} of the sample', entry.values[key]
                )
    return tuple(_prediction(entry) for entry in entries)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a file, whose values are checked as they are read."""

    where: str
    values: Mapping[str, Any]

    def error(self, reason: str, expected: str, got: object) -> SourceError:
        return SourceError(reason, f'{self.where}: expected {expected}, got {got!r}.')

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.error('wrong_type', f'text in {key}', value)
        return value

    def texts(self, key: str, *, least: int = 1) -> tuple[str, ...] | None:
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return None if value is None else (value,)
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not is_list or len(value) < least:
            raise self.error('wrong_type', f'text or a list of texts in {key}', value)
        return tuple(value)

    def objects(self, key: str) -> tuple[NamedBox, ...] | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.error('wrong_type', f'a list in {key}', value)
        return tuple(self._object(key, item) for item in value)

    def _object(self, key: str, item: object) -> NamedBox:
        if isinstance(item, str):
            return NamedBox(item)
        if not isinstance(item, dict) or not isinstance(item.get('name'), str):
            raise self.error('wrong_type', f'names, or objects with a name, in {key}', item)
        box = item.get('box')
        return NamedBox(item['name'], None if box is None else self.box(key, box))

    def box(self, key: str, value: object) -> Box:
        is_box = (
            isinstance(value, list)
            and len(value) == _SIDES
            and all(type(side) in {int, float} and math.isfinite(side) for side in value)
        )
        if not is_box:
            raise self.error('wrong_type', f'[left, top, right, bottom] in {key}', value)
        x1, y1, x2, y2 = map(float, value)  # type: ignore[call-overload] # checked
        return x1, y1, x2, y2

    def grounded(self, key: str) -> Mapping[str, tuple[Box, ...]] | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(x, list) for x in value.values()):
            raise self.error('wrong_type', f'lists of boxes by phrase in {key}', value)
        return {
            phrase: tuple(self.box(key, box) for box in boxes) for phrase, boxes in value.items()
        }


def _entries(path: Path) -> Iterator[_Entry]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f'larger than {_MAX_BYTES} bytes')  # noqa: TRY301 - one message
        document = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(
            'unreadable', f'{path}: cannot be read as JSON ({error}). Check the path.'
        ) from None
    if not isinstance(document, list):
        raise SourceError('wrong_type', f'{path}: expected a JSON list, got another value.')
    for index, values in enumerate(document):
        where = f'{path}: entry {index}'
        if not isinstance(values, dict):
            raise SourceError('wrong_type', f'{where}: expected a JSON object, got {values!r}.')
        yield _Entry(where, values)


def _sample(entry: _Entry) -> Sample:
    image = entry.text('image')
    if image is None:
        raise entry.error('missing_key', 'the path of an image in image', None)
    sample = Sample(
        image,
        entry.text('question'),
        entry.texts('gt_answer'),
        entry.objects('gt_objects'),
        entry.texts('gt_absent', least=0),
        entry.text('gt_scene'),
        entry.text('kind') or '',
        entry.texts('sampling', least=0) or (),
    )
    for name in sample.asked:
        if ',' in name:
            raise entry.error(
                'comma', 'names without commas beside gt_absent, since prompts have none', name
            )
    return sample


def _prediction(entry: _Entry) -> Prediction:
    return Prediction(
        entry.text('answer'),
        entry.objects('objects'),
        entry.grounded('grounded'),
        entry.text('scene_type'),
    )
