"""Parameters of a request: of the query, or fields of a form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from http import HTTPStatus
import json
import math

from robot_perception.core import CalibrationError, CameraModel, DistortionModel, Stage
from robot_perception.pipeline import Parameter, PerceptionConfig, Value
from robot_perception.server.job import Format
from robot_perception.server.problem import ProblemError

OWN_NAMES = ('stages', 'format', 'hfov', 'camera', 'deadline_s')
"""Parameters of a request that are none of the pipeline."""
ASK_NAMES = ('question', 'region', 'deadline_s')
"""Parameters of a question."""
_BY_MEDIA_TYPE = {
    'application/json': Format.JSON,
    'application/zip': Format.ZIP,
    'image/png': Format.PNG,
}
_CHOSEN = (Format.JSON, Format.ZIP, Format.PNG, Format.PAGE)
_CAMERA_NUMBERS = ('fx', 'fy', 'cx', 'cy')
# Each object has a mask of the size of the image: a request may lower it only.
_MAX_OBJECTS = 'detector.max_objects'
# A request may not name files of the service, and not lift its limits: others are not offered.
_OF_REQUESTS = frozenset(
    (
        *('detector.threshold', 'detector.classes', 'detector.prompts'),
        *(_MAX_OBJECTS, 'detector.max_overlap', 'scene.labels'),
        *('semantics.labels', 'semantics.threshold'),
    )
)


@dataclass(frozen=True, slots=True)
class RequestParameters:
    """What a request asks for; see `job.Job`.

    Attributes:
        seconds: time until the answer.
    """

    stages: frozenset[Stage]
    format: Format
    seconds: float
    values: Mapping[str, Value]
    hfov_deg: float | None
    camera: CameraModel | None


@dataclass(frozen=True, slots=True)
class AskParameters:
    """What a question asks for; see `Question`.

    Attributes:
        question: in words.
        region_xyxy: part of the image: left, top, right and bottom in pixels; None = all of it.
        seconds: time until the answer.
    """

    question: str
    region_xyxy: tuple[float, float, float, float] | None
    seconds: float


def changeable_parameters(config: PerceptionConfig) -> Iterator[Parameter]:
    """Yield the parameters that a request may change, with the range that it may use."""
    for item in config.parameters():
        if item.name == _MAX_OBJECTS:
            limits = (1, config.detector.max_objects)
            yield replace(item, constraint=replace(item.constraint, limits=limits))
        elif item.name in _OF_REQUESTS:
            yield item


def read_parameters(
    pairs: Iterable[tuple[str, str]], accept: str, config: PerceptionConfig, max_seconds: float
) -> RequestParameters:
    """Read the parameters of a request.

    Args:
        pairs: names and values.
        accept: header of the request, empty for none; ``format`` has precedence.
        config: of the service.
        max_seconds: until the answer, also without ``deadline_s``.

    Raises:
        ProblemError: a parameter is unknown, given twice or not of its type.
        ConfigError: a value is out of its range.
    """
    texts = _texts(pairs)
    stages = _stages(texts.pop('stages', ''), config)
    form = texts.pop('format', '')
    if form and form not in _CHOSEN:
        raise _invalid(
            'unknown_value',
            f'format: expected one of {", ".join(_BY_MEDIA_TYPE.values())}, got {form[:80]!r}.',
        )
    seconds = _seconds(texts, max_seconds)
    hfov_deg = _number('hfov', texts.pop('hfov')) if 'hfov' in texts else None
    if hfov_deg is not None and not 0 < hfov_deg < 180:  # noqa: PLR2004 - of a pinhole camera
        raise _invalid(
            'out_of_range', f'hfov: expected above 0 and below 180 degrees, got {hfov_deg:g}.'
        )
    camera = _camera(texts.pop('camera')) if 'camera' in texts else None
    if camera is not None and hfov_deg is not None:
        raise _invalid('conflicting_parameters', 'expected camera or hfov, got both.')
    values = _values(texts, config)
    return RequestParameters(
        stages, Format(form) if form else _accepted(accept), seconds, values, hfov_deg, camera
    )


def read_ask_parameters(pairs: Iterable[tuple[str, str]], max_seconds: float) -> AskParameters:
    """Read the parameters of a question about an image; `Question` checks their values.

    Args:
        pairs: names and values.
        max_seconds: until the answer, also without ``deadline_s``.

    Raises:
        ProblemError: a parameter is unknown, given twice or not of its type.
    """
    texts = _texts(pairs)
    question, region = texts.pop('question', ''), texts.pop('region', '')
    seconds = _seconds(texts, max_seconds)
    for name in texts:
        raise _unknown(name, ASK_NAMES)
    return AskParameters(question, _region(region) if region else None, seconds)


def _texts(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, text in pairs:
        if name in texts:
            raise _invalid('given_twice', f'{name}: expected one value, got two.')
        texts[name] = text
    return texts


def _seconds(texts: dict[str, str], max_seconds: float) -> float:
    """Take the time until the answer out of the parameters."""
    seconds = _number('deadline_s', texts.pop('deadline_s', str(max_seconds)))
    if not 0 < seconds <= max_seconds:
        raise _invalid(
            'out_of_range',
            f'deadline_s: expected above 0, at most {max_seconds:g}, got {seconds:g}.',
        )
    return seconds


def _region(text: str) -> tuple[float, float, float, float]:
    """Read a region, as left, top, right and bottom."""
    numbers = [_number('region', number) for number in text.split(',')]
    if len(numbers) != 4:  # noqa: PLR2004 - named in the message
        raise _invalid(
            'wrong_format',
            f'region: expected X,Y,WIDTH,HEIGHT in pixels, got {len(numbers)} numbers.',
        )
    left, top, width, height = numbers
    return left, top, left + width, top + height


def _stages(text: str, config: PerceptionConfig) -> frozenset[Stage]:
    enabled = [stage for stage in Stage if config.stage(stage).enabled]
    names = text.split(',') if text else enabled
    for name in names:
        if name not in enabled:
            raise _invalid(
                'unknown_stage',
                f'stages: expected some of {",".join(enabled)}, got {name!r}. The service has no '
                'other stages.',
            )
    return frozenset(map(Stage, names))


def _values(texts: Mapping[str, str], config: PerceptionConfig) -> dict[str, Value]:
    """Convert what is left to parameters of the pipeline, and check their ranges."""
    if not texts:
        return {}
    changeable = {item.name: item for item in changeable_parameters(config)}
    names = [*OWN_NAMES, *changeable]
    fixed = config.to_values().keys() - changeable.keys()
    for name in texts:
        if name in fixed:
            raise _invalid(
                'fixed_parameter',
                f'{name}: expected a parameter that a request can change ('
                f'{", ".join(changeable)}), got one of the service. Start it with '
                f'--set {name}=VALUE.',
            )
        if name not in changeable:
            raise _unknown(name, names)
    values = {name: _value(changeable[name], text) for name, text in texts.items()}
    config.with_values(values)
    most = config.detector.max_objects
    if int(values.get(_MAX_OBJECTS, most)) > most:
        raise _invalid(
            'out_of_range',
            f'{_MAX_OBJECTS}: expected at most {most}, as the service has, got '
            f'{values[_MAX_OBJECTS]}. Start it with --set {_MAX_OBJECTS}=N for more.',
        )
    return values


def _value(item: Parameter, text: str) -> Value:
    if item.kind is bool:
        words = {'true': True, 'false': False}
        if text.lower() not in words:
            raise _invalid('wrong_type', f'{item.name}: expected true or false, got {text!r}.')
        return words[text.lower()]
    try:
        return item.kind(text)
    except ValueError:
        raise _invalid(
            'wrong_type', f'{item.name}: expected {item.kind.__name__}, got {text!r}.'
        ) from None


def _camera(text: str) -> CameraModel:
    """Read intrinsics in the form of scene.json."""
    try:
        document = json.loads(text)
        fx, fy, cx, cy = (float(document[name]) for name in _CAMERA_NUMBERS)
        model = DistortionModel.parse(document.get('distortion_model', 'none'))
        distortion = tuple(map(float, document.get('distortion', ())))
        return CameraModel((1, 1), fx, fy, cx, cy, model, distortion)
    except CalibrationError as error:
        text = str(error).removeprefix('camera: ')
        raise _invalid(error.reason, f'camera: {text}') from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise _invalid(
            'wrong_format',
            'camera: expected JSON such as {"fx": 525, "fy": 525, "cx": 319.5, "cy": 239.5} in '
            'pixels, possibly with distortion_model and distortion as in scene.json, got '
            f'{text[:80]!r}.',
        ) from None


def _accepted(accept: str) -> Format:
    """Return the first format that the client accepts."""
    if not accept:
        return Format.JSON
    for part in accept.split(','):
        name = part.partition(';')[0].strip().lower()
        if name in _BY_MEDIA_TYPE:
            return _BY_MEDIA_TYPE[name]
        if name in {'*/*', 'application/*'}:
            return Format.JSON
    raise ProblemError(
        HTTPStatus.NOT_ACCEPTABLE,
        'not_acceptable',
        f'Accept: expected one of {", ".join(_BY_MEDIA_TYPE)}, got {accept[:80]!r}.',
    )


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _invalid('wrong_type', f'{name}: expected a number, got {text[:40]!r}.')
    return number


def _unknown(name: str, names: Sequence[str]) -> ProblemError:
    nearest = get_close_matches(name, names, 1)
    return _invalid(
        'unknown_parameter',
        f'{name[:80]!r}: expected one of {", ".join(names)}'
        f'{f" (nearest: {nearest[0]})" if nearest else ""}, got another name.',
    )


def _invalid(reason: str, message: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, reason, message)
