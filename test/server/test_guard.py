"""What every request passes, around an application that echoes its body."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

pytest.importorskip('fastapi')

from robot_perception.server import guard as guard_module
from robot_perception.server import ServerSettings
from robot_perception.server.guard import Guard
from robot_perception.server.metrics import Metrics

TOKEN = 'a-token-of-sixteen-letters'  # noqa: S105 - of a test


async def echo(scope, receive, send):
    body, more = b'', True
    while more:
        message = await receive()
        body, more = body + message['body'], message['more_body']
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': body})


def call(*parts, app=echo, headers=(), path='/v1/scene', query='', delay_s=0.0, **settings):
    """Send a request; return status, headers, body and the number of parts that were read."""
    pool = SimpleNamespace(waiting=0, computing=0, ready=1, restarts=0)
    metrics = Metrics(pool, SimpleNamespace(running=0))
    guard = Guard(
        app, settings=ServerSettings(**settings), metrics=metrics, paths=frozenset(('/v1/scene',))
    )
    waiting, sent = list(parts) or [b''], []

    async def receive():
        await asyncio.sleep(delay_s)
        part = waiting.pop(0)
        return {'type': 'http.request', 'body': part, 'more_body': bool(waiting)}

    async def send(message):
        sent.append(message)

    scope = {
        'type': 'http',
        'method': 'POST',
        'path': path,
        'query_string': query.encode(),
        'headers': [(name.lower().encode(), value.encode()) for name, value in headers],
        'client': ('127.0.0.1', 5000),
    }
    asyncio.run(guard(scope, receive, send))
    start, *rest = sent
    found = {name.decode(): value.decode() for name, value in start['headers']}
    return start['status'], found, b''.join(one['body'] for one in rest), len(waiting)


def test_a_request_passes_and_is_logged(caplog):
    with caplog.at_level(logging.INFO, 'robot_perception'):
        status, headers, body, _ = call(b'ab', b'cd', headers=[('X-Request-ID', 'mine-1')])
    assert (status, body, headers['x-request-id']) == (200, b'abcd', 'mine-1')
    assert headers['x-content-type-options'] == 'nosniff'
    assert '127.0.0.1 POST /v1/scene 200' in caplog.text
    assert 'mine-1' in caplog.text


@pytest.mark.parametrize('given', ['', 'two words', 'x' * 65, 'a\u00e9', '../..'])
def test_an_id_that_could_mislead_readers_of_the_log_is_replaced(given):
    headers = [('X-Request-ID', given)] if given else []
    assert len(call(headers=headers)[1]['x-request-id']) == 32


@pytest.mark.parametrize(
    ('value', 'status'),
    [
        (f'Bearer {TOKEN}', 200),
        (f'bearer {TOKEN}', 200),
        (f'Bearer {TOKEN}x', 401),
        (f'Bearer {TOKEN[:-1]}', 401),
        (f'Basic {TOKEN}', 401),
        ('Bearer', 401),
        ('Bearer \u00e9', 401),
        ('', 401),
    ],
)
def test_the_token_is_needed(value, status):
    headers = [('Authorization', value)] if value else []
    got, found, body, _ = call(token=TOKEN, headers=headers)
    assert got == status
    if status == 401:
        assert found['www-authenticate'] == 'Bearer'
        assert b'"wrong_token"' in body


@pytest.mark.parametrize('path', ['/', '/healthz', '/readyz'])
def test_probes_and_the_page_need_no_token(path):
    assert call(token=TOKEN, path=path)[0] == 200
    assert call(token=TOKEN, path=f'{path}x')[0] == 401


def test_too_many_headers_are_refused():
    assert call(headers=[(f'x-{n}', '1') for n in range(100)])[0] == 200
    assert call(headers=[(f'x-{n}', '1') for n in range(101)])[0] == 431


def test_long_paths_queries_and_headers_are_refused():
    long = 'x' * 16_384
    status, _, body, _ = call(headers=[('x-long', long)])
    assert status == 431
    assert b'"headers_too_large"' in body
    assert call(path=f'/{long}')[0] == 431
    assert call(query=f'hfov={long}')[0] == 431
    assert call(query=f'hfov={long[: 2**13]}')[0] == 200


def test_a_large_body_is_refused_however_it_is_announced():
    part = bytes(2**20)
    assert call(*[part] * 2, max_body_mb=2)[0] == 200
    assert call(*[part] * 3, max_body_mb=2)[0] == 413
    status, _, body, left = call(b'', headers=[('Content-Length', '3000000')], max_body_mb=2)
    assert (status, left) == (413, 0)
    assert b'"body_too_large"' in body


def test_a_slow_body_is_refused(monkeypatch):
    monkeypatch.setattr(guard_module, '_DRAIN_S', 0.01)
    status, headers, body, _ = call(b'a', b'b', delay_s=0.2, max_seconds=0.1)
    assert (status, headers['connection']) == (408, 'close')
    assert b'"slow_body"' in body


def test_the_rest_of_a_refused_body_is_read_unless_the_client_waits():
    parts = [b'x'] * 5
    headers = [('Authorization', 'Bearer no')]
    _, found, _, left = call(*parts, token=TOKEN, headers=headers)
    assert ('connection' in found, left) == (False, 0)
    held_back = [*headers, ('Expect', '100-continue')]
    _, found, _, left = call(*parts, token=TOKEN, headers=held_back)
    assert (found['connection'], left) == ('close', 5)


def test_an_error_of_the_application_is_answered_and_logged(caplog):
    async def broken(scope, receive, send):
        await asyncio.sleep(0)
        raise ZeroDivisionError

    status, _, body, _ = call(app=broken)
    assert status == 500
    assert b'"internal"' in body
    assert b'ZeroDivision' not in body
    assert 'ZeroDivisionError' in caplog.text
