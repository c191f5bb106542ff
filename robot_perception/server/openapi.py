"""The description of the service in OpenAPI, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from robot_perception.pipeline import MAX_CHARACTERS, Parameter, PerceptionConfig
from robot_perception.server.body import FIELD
from robot_perception.server.problem import MEDIA_TYPE, problem
from robot_perception.server.request_parameters import changeable_parameters

_TYPES = {bool: 'boolean', int: 'integer', float: 'number', str: 'string'}
_BINARY = {'type': 'string', 'format': 'binary'}
_IMAGE_TYPES = ('image/jpeg', 'image/png', 'image/webp', 'image/tiff', 'image/bmp')
_FEATURES = {'model': 'facebook/dinov2-small', 'vector': [1.83642, -0.219871], 'grid': [16, 22]}
_ANSWER = {
    'answer': 'Two cups and a bowl.',
    'objects': [{'class_name': 'cup', 'box_xyxy': [202.11, 155.92, 288.4, 261.03]}],
    'duration_s': 2.41,
}
_SCENE = {
    'schema': 'robot_perception/scene',
    'version': 1,
    'image': {'height': 480, 'width': 640, 'stamp_ns': 0, 'frame_id': ''},
    'camera': {
        'fx': 554.256,
        'fy': 554.256,
        'cx': 319.5,
        'cy': 239.5,
        'distortion_model': 'none',
        'distortion': [],
    },
    'timing_s': {'detector': 0.021, 'pipeline': 0.094},
    'backends': {'detector': 'torch fp32'},
    'features': _FEATURES,
    'depth': {
        'kind': 'metric',
        'unit': 'm',
        'min': 0.4181,
        'median': 0.9304,
        'max': 2.114,
        'known_share': 1.0,
    },
    'depth_source': 'model',
    'objects': [
        {
            'index': 0,
            'class_id': 41,
            'class_name': 'cup',
            'score': 0.9713,
            'track_id': None,
            'box_xyxy': [202.11, 155.92, 288.4, 261.03],
            'mask': {'area': 7021, 'rle': {'size': [480, 640], 'counts': [98123, 12, 209065]}},
            'truncated': False,
            'occluded': False,
            'depth_m': 0.8124,
            'centroid_m': [-0.1093, -0.0463, 0.8402],
        }
    ],
}
_PROBLEMS = {
    HTTPStatus.BAD_REQUEST: ('data', 'The body has no image, or one that is damaged.'),
    HTTPStatus.UNAUTHORIZED: ('wrong_token', 'The token is missing or wrong.'),
    HTTPStatus.NOT_ACCEPTABLE: ('not_acceptable', 'No format is acceptable to the client.'),
    HTTPStatus.REQUEST_TIMEOUT: ('slow_body', 'The body took too long.'),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ('too_large', 'The body or the image is too large.'),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ('unknown_format', 'The body is no image.'),
    HTTPStatus.UNPROCESSABLE_ENTITY: ('out_of_range', 'A parameter is invalid.'),
    HTTPStatus.TOO_MANY_REQUESTS: ('queue_full', 'Too many requests wait; see Retry-After.'),
    HTTPStatus.INTERNAL_SERVER_ERROR: ('internal', 'An error of the service.'),
    HTTPStatus.SERVICE_UNAVAILABLE: ('worker_ended', 'The networks are started again.'),
    HTTPStatus.GATEWAY_TIMEOUT: ('deadline', 'The deadline has passed.'),
}


def scene_operation(config: PerceptionConfig) -> dict[str, Any]:
    """Return the parts of ``/v1/scene`` that do not follow from its function."""
    return {
        'parameters': [
            _query('stages', {'type': 'string'}, 'Stages to compute, separated by commas.'),
            _query(
                'format',
                {'type': 'string', 'enum': ['json', 'zip', 'png']},
                'Form of the answer; without it the header Accept decides.',
            ),
            *_parameters(config),
        ],
        'requestBody': _body(),
    }


def embed_operation() -> dict[str, Any]:
    """Return the parts of ``/v1/embed`` that do not follow from its function."""
    return {'parameters': [_deadline()], 'requestBody': _body()}


def ask_operation() -> dict[str, Any]:
    """Return the parts of ``/v1/ask`` that do not follow from its function."""
    question = {'type': 'string', 'minLength': 1, 'maxLength': MAX_CHARACTERS}
    parameters = [
        _query('question', question, 'In words. Here or in the form.'),
        _query('region', {'type': 'string'}, 'Part of the image: X,Y,WIDTH,HEIGHT in pixels.'),
        _deadline(),
    ]
    return {'parameters': parameters, 'requestBody': _body()}


def scene_responses() -> dict[int | str, dict[str, Any]]:
    """Return the answers of ``/v1/scene``."""
    content = {
        'application/json': {'schema': {'type': 'object'}, 'example': _SCENE},
        'application/zip': {'schema': _BINARY},
        'image/png': {'schema': _BINARY},
    }
    return {200: {'description': 'The scene', 'content': content}, **_problems()}


def embed_responses() -> dict[int | str, dict[str, Any]]:
    """Return the answers of ``/v1/embed``."""
    content = {'application/json': {'schema': {'type': 'object'}, 'example': _FEATURES}}
    return {200: {'description': 'The features', 'content': content}, **_problems()}


def ask_responses() -> dict[int | str, dict[str, Any]]:
    """Return the answers of ``/v1/ask``."""
    content = {'application/json': {'schema': {'type': 'object'}, 'example': _ANSWER}}
    return {200: {'description': 'The answer', 'content': content}, **_problems()}


def _parameters(config: PerceptionConfig) -> list[dict[str, Any]]:
    camera = {'fx': 525, 'fy': 525, 'cx': 319.5, 'cy': 239.5}
    return [
        _query(
            'hfov',
            {'type': 'number', 'exclusiveMinimum': 0, 'exclusiveMaximum': 180},
            'Horizontal field of view in degrees; by default that of the EXIF data, or 60.',
        ),
        {
            **_query('camera', {}, 'Intrinsics in pixels, in the form of scene.json.'),
            'content': {'application/json': {'schema': {'type': 'object'}, 'example': camera}},
        },
        _deadline(),
        *map(_of_pipeline, changeable_parameters(config)),
    ]


def _of_pipeline(item: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {'type': _TYPES[item.kind], 'default': item.default}
    if item.constraint.limits is not None:
        schema['minimum'], schema['maximum'] = item.constraint.limits
    if item.constraint.choices:
        schema['enum'] = list(item.constraint.choices)
    return _query(item.name, schema, item.constraint.description)


def _deadline() -> dict[str, Any]:
    return _query('deadline_s', {'type': 'number'}, 'Seconds until the answer, at most.')


def _query(name: str, schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    described = {'name': name, 'in': 'query', 'description': description}
    return {**described, 'schema': schema} if schema else described


def _body() -> dict[str, Any]:
    form = {
        'type': 'object',
        'required': [FIELD],
        'properties': {FIELD: _BINARY},
        # All parameters of the query.
        'additionalProperties': {'type': 'string'},
    }
    return {
        'required': True,
        'content': {
            'multipart/form-data': {'schema': form},
            **{media_type: {'schema': _BINARY} for media_type in _IMAGE_TYPES},
        },
    }


def _problems() -> dict[int | str, dict[str, Any]]:
    return {
        int(status): {
            'description': text,
            'content': {
                MEDIA_TYPE: {
                    'schema': {'$ref': '#/components/schemas/Problem'},
                    'example': problem(status, reason, text, '5f0c3a1e'),
                }
            },
        }
        for status, (reason, text) in _PROBLEMS.items()
    }


PROBLEM_SCHEMA = {
    'type': 'object',
    'required': ['type', 'title', 'status', 'detail', 'reason', 'request_id'],
    'properties': {
        name: {'type': 'integer' if name == 'status' else 'string'}
        for name in ('type', 'title', 'status', 'detail', 'reason', 'request_id')
    },
}
"""JSON schema of problem details."""
