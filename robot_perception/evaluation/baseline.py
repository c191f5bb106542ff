"""An earlier evaluation, read from its results.json, to show beside a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path

from robot_perception.core import SourceError
from robot_perception.evaluation.confusion import ConfusionMatrix
from robot_perception.evaluation.report import PrecisionCurve, SCHEMA

_MAX_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Baseline:
    """Metrics of an earlier evaluation.

    Attributes:
        name: of the file, for titles.
        values: group and name of each metric -> value, None when unknown.
        curves: precision over recall, without those of classes.
        confusion: None in results of versions before 4.
    """

    name: str
    values: Mapping[tuple[str, str], float | None]
    curves: tuple[PrecisionCurve, ...]
    confusion: ConfusionMatrix | None


def read_baseline(path: Path) -> Baseline:
    """Read ``results.json`` of an evaluation.

    Raises:
        SourceError: the file cannot be read, or is none.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError('too large')  # noqa: TRY301 - as any other content that is none
        root = json.loads(path.read_bytes())
        if root['schema'] != SCHEMA:
            raise ValueError('other schema')  # noqa: TRY301 - likewise
        confusion = root.get('confusion')
        return Baseline(
            f'{path.parent.name}/{path.name}' if path.parent.name else path.name,
            {
                (str(row['group']), str(row['name'])): None
                if row['value'] is None
                else float(row['value'])
                for row in root['rows']
            },
            tuple(
                PrecisionCurve('', float(one['box_iou']), tuple(map(float, one['precision'])))
                for one in root['precision_over_recall']
                if one['class'] is None
            ),
            None
            if confusion is None
            else ConfusionMatrix(
                tuple(map(str, confusion['classes'])),
                tuple(tuple(map(int, row)) for row in confusion['counts']),
            ),
        )
    except OSError as error:
        raise SourceError(
            'cannot_read', f'{path}: cannot be read: {error.strerror or error}. Check the path.'
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SourceError(
            'wrong_format',
            f'{path}: expected results.json of robot-perception evaluate, got another file.',
        ) from error
