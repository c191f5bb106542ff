"""What every request passes: its id, the token, limits of headers and body, the access log."""

from __future__ import annotations

import asyncio
from contextlib import suppress
import hmac
from http import HTTPStatus
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from robot_perception.server.metrics import Metrics
from robot_perception.server.problem import ProblemError
from robot_perception.server.settings import ServerSettings

_LOG = logging.getLogger(__name__)
# For probes of an orchestrator, which have no token, and for the page, which asks for it.
OPEN_PATHS = ('/', '/healthz', '/readyz')
_PROBES = ('/healthz', '/readyz', '/metrics')
_MAX_HEADERS = 100
# Of path, query and all headers.
MAX_HEADER_BYTES = 16_384
ID_HEADER = 'X-Request-ID'
_ID = re.compile(r'[A-Za-z0-9._-]{1,64}')
# What a client sends after it was refused is read for so long, so that it gets the answer.
_DRAIN_S = 2.0
# As nginx logs a client that closed the connection before it was answered.
_CLOSED = 499
_HEADERS = {
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
}


class Guard:
    """ASGI middleware around the application."""

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, metrics: Metrics, paths: frozenset[str]
    ) -> None:
        """Guard an application.

        Args:
            app: the application.
            settings: token and limits.
            metrics: counts the requests.
            paths: of the application, for metrics; all others count as one.
        """
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other events are passed on."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        # A proxy may keep this prefix of the path, or remove it.
        scope['root_path'] = self._settings.root_path or scope.get('root_path', '')
        headers = Headers(scope=scope)
        given = headers.get(ID_HEADER, '')
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        start_s = time.monotonic()
        scope.setdefault('state', {}).update(request_id=request_id, start_s=start_s)
        body = _Body(receive, headers, self._settings, start_s)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message['type'] == 'http.response.start':
                status = message['status']
                await body.drain()
                added = MutableHeaders(scope=message)
                for name, value in {ID_HEADER: request_id, **_HEADERS}.items():
                    added.setdefault(name, value)
                if not body.is_complete:
                    # Otherwise a slow client keeps the connection, and one that was held back
                    # sends its next request as this body.
                    added['Connection'] = 'close'
            await send(message)

        try:
            self._check(scope, headers)
            await self._app(scope, body.receive, send_with_headers)
        except ProblemError as error:
            await error.response(request_id)(scope, body.receive, send_with_headers)
        except ClientDisconnect:
            pass
        except Exception:
            _LOG.exception('request %s failed', request_id)
            if status:
                raise
            problem = ProblemError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                'internal',
                'expected a result, got an error of the service, which its log has. Report it.',
            )
            await problem.response(request_id)(scope, body.receive, send_with_headers)
        finally:
            self._report(scope, status, time.monotonic() - start_s, request_id)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise ProblemError if the headers of a request are refused."""
        if len(headers) > _MAX_HEADERS:
            raise ProblemError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                'too_many_headers',
                f'expected at most {_MAX_HEADERS} headers, got {len(headers)}.',
            )
        fields = (scope['path'].encode(), scope.get('query_string', b''))
        size = sum(map(len, fields)) + sum(len(name) + len(value) for name, value in headers.raw)
        if size > MAX_HEADER_BYTES:
            raise ProblemError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                'headers_too_large',
                f'expected path, query and headers of at most {MAX_HEADER_BYTES} bytes, got '
                f'{size}. Send long parameters as fields of a form.',
            )
        if self._settings.token and self._path(scope) not in OPEN_PATHS:
            scheme, _, token = headers.get('authorization', '').partition(' ')
            expected = self._settings.token.encode()
            is_right = hmac.compare_digest(token.strip().encode(), expected)
            if scheme.lower() != 'bearer' or not is_right:
                raise ProblemError(
                    HTTPStatus.UNAUTHORIZED,
                    'wrong_token',
                    'expected the header "Authorization: Bearer TOKEN" with the token of this '
                    f'service, got {"another token" if token else "none"}.',
                    {'WWW-Authenticate': 'Bearer'},
                )
        length = headers.get('content-length', '0')
        if length.isdecimal() and int(length[:20]) > self._settings.max_body_bytes:
            raise _too_large(self._settings)

    def _path(self, scope: Scope) -> str:
        path: str = scope['path']
        return path.removeprefix(scope['root_path']) or '/'

    def _report(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        path = self._path(scope)
        self._metrics.add_request(
            path if path in self._paths else 'other', status or _CLOSED, seconds
        )
        client = scope.get('client') or ('-',)
        # Probes come every few seconds.
        _LOG.log(
            logging.DEBUG if path in _PROBES else logging.INFO,
            '%s %s %s %d %.0f ms %s',
            client[0],
            scope['method'],
            path[:200],
            status or _CLOSED,
            seconds * 1e3,
            request_id,
        )


class _Body:
    """The body of a request, limited in size and time.

    Attributes:
        is_complete: whether all of it was received, or the client closed the connection.
    """

    def __init__(
        self, receive: Receive, headers: Headers, settings: ServerSettings, start_s: float
    ) -> None:
        self._receive = receive
        self._settings = settings
        self._end_s = start_s + settings.max_seconds
        # Such a client sends nothing before the server reads.
        self._is_held_back = 'expect' in headers
        self.is_complete = False
        self._received_bytes = 0

    async def receive(self) -> Message:
        """Receive a message of the application.

        Raises:
            ProblemError: the body is too large, or takes too long.
        """
        if self.is_complete:
            return await self._receive()
        self._is_held_back = False
        limit_s = max(0.0, self._end_s - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), limit_s)
        except asyncio.TimeoutError:
            raise ProblemError(
                HTTPStatus.REQUEST_TIMEOUT,
                'slow_body',
                f'expected the body within {self._settings.max_seconds:g} s, got a part of it.',
            ) from None
        self.is_complete = message['type'] != 'http.request' or not message.get('more_body')
        self._received_bytes += len(message.get('body', b''))
        if self._received_bytes > self._settings.max_body_bytes:
            raise _too_large(self._settings)
        return message

    async def drain(self) -> None:
        """Read what the client still sends: it reads the answer after it has sent everything."""
        if self._is_held_back:
            return
        with suppress(ProblemError, asyncio.TimeoutError):
            await asyncio.wait_for(self._read_rest(), _DRAIN_S)

    async def _read_rest(self) -> None:
        while not self.is_complete:
            await self.receive()


def _too_large(settings: ServerSettings) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        'body_too_large',
        f'expected a body of at most {settings.max_body_mb} MiB, got more. Send a smaller image, '
        'or start the service with a larger --max-body.',
    )
