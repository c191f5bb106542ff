"""Figures of predictions for samples, each with its interval and the samples that it stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from robot_perception import __version__
from robot_perception.evaluation.answer_matching import (
    is_contained,
    is_exact,
    soft_accuracy,
)
from robot_perception.evaluation.bootstrap import Bootstrap, mean, Statistic, Values
from robot_perception.evaluation.report import MetricRow, value_text
from robot_perception.evaluation.sample_errors import (
    boxes_of_name,
    distinct_names,
    find_errors,
    grounding_overlaps,
    has_boxes,
    is_scene,
    MIN_IOU,
    SampleError,
    SampleErrorKind,
)
from robot_perception.evaluation.samples import Prediction, Sample
from robot_perception.evaluation.yes_no_figures import yes_no_figures
from robot_perception.viewer import JsonValue

SCHEMA = 'robot_perception/sample_evaluation'
SCHEMA_VERSION = 1
_TEN_ANSWERS = 10
_SHOWN = 3

# Values of one sample; empty where it has none.
Measure = Callable[[Sample, Prediction], Values]


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A figure over samples.

    Attributes:
        metric: the figure.
        samples: count of samples that it stands on.
    """

    metric: MetricRow
    samples: int


@dataclass(frozen=True, slots=True)
class SampleReport:
    """Figures and errors of predictions for samples.

    Attributes:
        rows: in order, those of a group together; a figure without samples is unknown.
        errors: all errors, by kind and worst first.
        samples: what was predicted for.
    """

    rows: tuple[SampleRow, ...]
    errors: tuple[SampleError, ...]
    samples: tuple[Sample, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """Convert to JSON values; unknown is None."""
        return {
            'schema': SCHEMA,
            'version': SCHEMA_VERSION,
            'package': __version__,
            'samples': len(self.samples),
            'rows': [{**asdict(row.metric), 'samples': row.samples} for row in self.rows],
            'errors': {
                kind.value: [
                    {
                        'sample': error.sample,
                        'image': self.samples[error.sample].image,
                        'text': error.text,
                    }
                    for error in self.select_errors(kind)
                ]
                for kind in SampleErrorKind
            },
        }

    def select_errors(self, kind: SampleErrorKind) -> list[SampleError]:
        """Return the errors of a kind, worst first."""
        return [error for error in self.errors if error.kind is kind]

    def as_text(self) -> str:
        """Return a table of the known figures, and the worst errors of each kind."""
        return '\n'.join((*self._table(), *self._worst()))

    def _table(self) -> Iterator[str]:
        known = [row for row in self.rows if row.samples]
        width = max((len(row.metric.name) for row in known), default=0)
        group = ''
        for row in known:
            metric = row.metric
            if metric.group != group:
                group = metric.group
                yield group
            low, high = value_text(metric.low), value_text(metric.high)
            interval = '' if metric.low is None else f'{low} to {high}'
            value = value_text(metric.value)
            yield f'  {metric.name:<{width}}  {value:>7}  {interval:<16}  {row.samples} samples'

    def _worst(self) -> Iterator[str]:
        for kind in SampleErrorKind:
            errors = self.select_errors(kind)
            if errors:
                yield f'{kind}: {len(errors)}'
            for error in errors[:_SHOWN]:
                yield f'  {self.samples[error.sample].image}: {error.text}'


def evaluate_samples(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> SampleReport:
    """Compute the figures of predictions, one for each sample.

    A part that no prediction has, such as answers, is unknown; where some have it, it is empty in
    the others. The 95 % intervals are those of the bootstrap over images, since answers about one
    image are correlated.
    """
    predictions = _completed(predictions)
    pairs = list(zip(samples, predictions, strict=True))
    numbers: dict[str, int] = {}
    images = [numbers.setdefault(sample.image, len(numbers)) for sample in samples]
    bootstrap = Bootstrap(len(numbers))

    def row(group: str, name: str, measure: Measure, *, better: bool | None = True) -> SampleRow:
        values = [measure(sample, prediction) for sample, prediction in pairs]
        by_image: list[list[float]] = [[] for _ in numbers]
        for image, one in zip(images, values, strict=True):
            by_image[image] += one
        return _row(bootstrap, group, name, mean(by_image), sum(map(bool, values)), better=better)

    kinds = dict.fromkeys(one.kind for one in samples if one.kind and one.question is not None)
    named = dict.fromkeys(one.kind for one in samples if one.kind and one.objects is not None)
    rows = [
        row('scene', 'accuracy', _scene),
        row('answers', 'exact match', _of_answer(is_exact)),
        row('answers', 'lenient match', _of_answer(is_contained)),
        row('answers', 'soft accuracy', _soft),
        *(row('exact match by kind', kind, _of_kind(kind)) for kind in kinds),
        *(
            _row(bootstrap, one.group, one.name, one.statistic, one.count, better=one.better)
            for one in yes_no_figures(pairs, images)
        ),
        row('names', 'recall', _name_recall),
        row('names', 'hallucination rate', _hallucinations, better=False),
        row('grounding', 'accuracy at IoU 0.5', _located),
        row('grounding', 'mean IoU', _overlaps(lambda iou: iou or 0.0)),
        row('grounding', 'mean IoU of those found', _overlaps(lambda iou: iou)),
        row('grounding', 'mean IoU of matches', _overlaps(_of_match)),
        row('grounding', 'false alarms per absent name', _false_alarms, better=False),
        *(row('accuracy at IoU 0.5 by kind', kind, _of_named(kind)) for kind in named),
    ]
    return SampleReport(tuple(rows), tuple(find_errors(samples, predictions)), tuple(samples))


def _completed(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return predictions with empty parts for those that only some have."""
    empty: dict[str, Any] = {'answer': '', 'objects': (), 'grounded': {}, 'scene': ''}
    for name in list(empty):
        if all(getattr(one, name) is None for one in predictions):
            del empty[name]
    return [
        replace(one, **{name: part for name, part in empty.items() if getattr(one, name) is None})
        for one in predictions
    ]


def _row(
    bootstrap: Bootstrap,
    group: str,
    name: str,
    statistic: Statistic,
    count: int,
    *,
    better: bool | None = True,
) -> SampleRow:
    (one,) = bootstrap.estimates(statistic)
    return SampleRow(MetricRow(group, name, one.value, one.low, one.high, '', better), count)


def _scene(sample: Sample, prediction: Prediction) -> Values:
    if sample.scene is None or prediction.scene is None:
        return ()
    return (float(is_scene(prediction.scene, sample.scene)),)


def _of_answer(compare: Callable[[str, Sequence[str]], bool]) -> Measure:
    def measure(sample: Sample, prediction: Prediction) -> Values:
        if sample.answers is None or prediction.answer is None:
            return ()
        return (float(compare(prediction.answer, sample.answers)),)

    return measure


def _soft(sample: Sample, prediction: Prediction) -> Values:
    if sample.answers is None or len(sample.answers) != _TEN_ANSWERS or prediction.answer is None:
        return ()
    return (soft_accuracy(prediction.answer, sample.answers),)


def _of_kind(kind: str) -> Measure:
    exact = _of_answer(is_exact)
    return lambda sample, prediction: exact(sample, prediction) if sample.kind == kind else ()


def _name_recall(sample: Sample, prediction: Prediction) -> Values:
    if not sample.objects or prediction.objects is None:
        return ()
    true = distinct_names(sample.objects)
    return (len(true & distinct_names(prediction.objects)) / len(true),)


def _hallucinations(sample: Sample, prediction: Prediction) -> Values:
    if sample.objects is None or not prediction.objects:
        return ()
    true = distinct_names(sample.objects)
    return [float(name not in true) for name in sorted(distinct_names(prediction.objects))]


def _overlaps(value: Callable[[float | None], float | None]) -> Measure:
    """Return the values of the IoU of each name, None = not found; those without are left out."""

    def measure(sample: Sample, prediction: Prediction) -> Values:
        values = [value(iou) for _, iou in grounding_overlaps(sample, prediction)]
        return [one for one in values if one is not None]

    return measure


def _of_match(iou: float | None) -> float | None:
    return iou if iou is not None and iou >= MIN_IOU else None


_located = _overlaps(lambda iou: float((iou or 0) >= MIN_IOU))


def _of_named(kind: str) -> Measure:
    return lambda sample, prediction: _located(sample, prediction) if sample.kind == kind else ()


def _false_alarms(sample: Sample, prediction: Prediction) -> Values:
    if sample.absent is None or not has_boxes(prediction):
        return ()
    return [float(len(boxes_of_name(prediction, name))) for name in sample.absent]
