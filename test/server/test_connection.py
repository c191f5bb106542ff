"""Connections of clients that take their time with headers."""

import asyncio
import select
import socket
import threading

from commands import TIMEOUT_S
import pytest

pytest.importorskip('fastapi')

import uvicorn

from robot_perception.server.connection import Connection

LIMIT_S = 1.0
REQUEST = b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'


class Quick(Connection):
    max_header_s = LIMIT_S


async def answer_late(_scope, _receive, send):
    await asyncio.sleep(1.5 * LIMIT_S)
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'answer'})


@pytest.fixture(scope='module')
def address():
    listener = socket.create_server(('127.0.0.1', 0))
    config = uvicorn.Config(
        answer_late, http=Quick, ws='none', lifespan='off', log_config=None, timeout_keep_alive=120
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={'sockets': [listener]})
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def connection(address):
    with socket.create_connection(address, TIMEOUT_S) as one:
        yield one


def receive(connection, end):
    """Return what is received up to some bytes, or to the end of the connection."""
    received = b''
    while end not in received and (part := connection.recv(1000)):
        received += part
    return received


def send_slowly(connection):
    """Send headers without end, byte for byte, until there is an answer."""
    connection.sendall(b'GET / HTTP/1.1\r\nx-long: ')
    for _ in range(round(TIMEOUT_S / 0.05)):
        if select.select([connection], [], [], 0.05)[0]:
            return
        connection.sendall(b'x')


def test_headers_that_do_not_end_are_refused(connection):
    send_slowly(connection)
    answer = receive(connection, b' s')
    assert answer.startswith(b'HTTP/1.1 408 Request Timeout\r\n')
    assert b'connection: close' in answer.lower()
    assert b'expected all headers of a request within 1 s' in answer


def test_a_silent_connection_is_closed(connection):
    assert connection.recv(1) == b''


def test_each_request_has_its_time_and_answers_have_theirs(connection):
    for _ in range(2):
        connection.sendall(REQUEST)
        assert receive(connection, b'answer').startswith(b'HTTP/1.1 200 ')
    send_slowly(connection)
    assert receive(connection, b' s').startswith(b'HTTP/1.1 408 ')
