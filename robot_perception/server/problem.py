"""Errors as HTTP answers: problem details (RFC 9457) with the reason of the package."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
import json
import math
from typing import Any

from fastapi.responses import Response

from robot_perception.core import ConfigError, ImageFileError, InputError, PerceptionError

MEDIA_TYPE = 'application/problem+json'
_OF_IMAGE_FILES = {
    'too_large': HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    'unknown_format': HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}


class ProblemError(PerceptionError):
    """A request that is not answered with a result.

    Attributes:
        status: status of HTTP.
        headers: of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Store status, reason, message and headers."""
        super().__init__(reason, message)
        self.status = status
        self.headers = headers or {}

    @classmethod
    def from_error(cls, error: PerceptionError) -> ProblemError:
        """Return an error of the package with its status: 4xx where the client can correct it."""
        if isinstance(error, ProblemError):
            return error
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        if isinstance(error, ImageFileError):
            status = _OF_IMAGE_FILES.get(error.reason, HTTPStatus.BAD_REQUEST)
        elif isinstance(error, InputError | ConfigError):
            status = HTTPStatus.UNPROCESSABLE_ENTITY
        return cls(status, error.reason, str(error))

    def response(self, request_id: str) -> Response:
        """Return the answer."""
        content = problem(self.status, self.reason, str(self), request_id)
        return Response(json.dumps(content), self.status, self.headers, media_type=MEDIA_TYPE)


def retry_after(seconds: float) -> dict[str, str]:
    """Return the header for a request that may be sent again."""
    return {'Retry-After': str(max(1, math.ceil(seconds)))}


def problem(status: int, reason: str, detail: str, request_id: str) -> dict[str, Any]:
    """Return the members of problem details; ``type`` is about:blank, so the title is fixed."""
    return {
        'type': 'about:blank',
        'title': HTTPStatus(status).phrase,
        'status': int(status),
        'detail': detail,
        'reason': reason,
        'request_id': request_id,
    }
