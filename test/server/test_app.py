"""The application without its server: paths behind a reverse proxy, and the token of the page."""

import asyncio
import json

import cv2
import numpy as np
import pytest

pytest.importorskip('fastapi')

from robot_perception.pipeline import PerceptionConfig
from robot_perception.server import create_app, ServerSettings

CONFIG = PerceptionConfig.from_preset('stub')
PNG = cv2.imencode('.png', np.zeros((4, 6, 3), np.uint8))[1].tobytes()


def get(path, **settings):
    """Return status and body of a path."""
    return send_request('GET', path, CONFIG, **settings)


def send_request(method, path, config, body=b'', **settings):
    """Return status and body of an answer."""
    app = create_app([config], ServerSettings(**settings))
    sent = []

    async def receive():
        await asyncio.sleep(0)
        return {'type': 'http.request', 'body': body, 'more_body': False}

    async def send(message):
        sent.append(message)

    scope = {
        'type': 'http',
        'method': method,
        'scheme': 'http',
        'http_version': '1.1',
        'path': path,
        'query_string': b'question=what',
        'headers': [],
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]['status'], b''.join(one['body'] for one in sent[1:]).decode()


@pytest.mark.parametrize('path', ['/healthz', '/perception/healthz'])
def test_a_proxy_may_keep_or_remove_the_prefix(path):
    assert get(path, root_path='/perception') == (200, '{"status":"ok"}')


def test_openapi_names_the_address_behind_the_proxy():
    document = json.loads(get('/openapi.json', root_path='/perception')[1])
    assert document['servers'] == [{'url': '/perception'}]


def test_without_the_prefix_it_is_another_path():
    assert get('/perception/healthz')[0] == 404


def test_networks_that_are_not_loaded_are_not_ready():
    assert get('/readyz') == (503, '{"ready_workers":0,"waiting":0}')


def test_the_page_asks_for_the_token_if_there_is_one():
    assert 'id="token"' not in get('/')[1]
    assert 'id="token"' in get('/', token='x' * 16)[1]
    assert get('/openapi.json', token='x' * 16)[0] == 401


def test_the_page_and_openapi_name_no_other_server():
    for path in ('/', '/openapi.json'):
        assert 'http://' not in get(path)[1].replace('http://localhost', '')
        assert 'https://' not in get(path)[1]


def test_without_a_describer_there_are_no_questions():
    status, body = send_request('POST', '/v1/ask', CONFIG, PNG)
    assert (status, json.loads(body)['reason']) == (404, 'no_describer')
    assert '/v1/ask' not in json.loads(get('/openapi.json')[1])['paths']
    assert 'id="ask"' not in get('/')[1]
    config = CONFIG.with_values({'describer.model': 'stub'})
    assert 'id="ask"' in send_request('GET', '/', config)[1]


def test_a_describer_that_is_not_on_this_machine_is_named():
    config = CONFIG.with_values({'describer.model': 'example/absent'})
    status, body = send_request('POST', '/v1/ask', config, PNG)
    assert status == 503
    assert 'example/absent is not on this machine' in json.loads(body)['detail']
