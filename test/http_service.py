"""The service as its users run it, a client, and what it sends."""

import http.client
import json
import re
import threading
import time
import uuid

from commands import read_until, TIMEOUT_S
import cv2
import numpy as np
from processes import list_processes

QUEUE = 2
SIZE_HW = (120, 160)


class Client:
    """Sends requests to a service on this machine."""

    def __init__(self, port, prefix='', headers=()):
        self.port = port
        self._prefix = prefix
        self._headers = dict(headers)

    def connect(self):
        """Return an open connection."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        connection.connect()
        return connection

    def request(self, path, body=None, headers=(), method=None):
        """Send a request and return status, headers and body of the answer."""
        connection = self.connect()
        try:
            method = method or ('GET' if body is None else 'POST')
            headers = self._headers | dict(headers)
            connection.request(method, self._prefix + path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def problem(self, *arguments, **options):
        """Send a request that is refused and return its status and reason."""
        status, headers, body = self.request(*arguments, **options)
        assert headers['Content-Type'] == 'application/problem+json'
        document = json.loads(body)
        assert document['status'] == status
        assert document['request_id'] == headers['X-Request-ID']
        assert len(document['detail']) > 20
        return status, document['reason']

    def metric(self, name):
        """Return a figure of /metrics."""
        _, _, text = self.request('/metrics')
        return float(re.search(rf'^{re.escape(name)} (\S+)$', text.decode(), re.MULTILINE)[1])


class Service(Client):
    """A running ``robot-perception serve`` on a free port."""

    def __init__(self, command, *arguments):
        self.program = command.start('serve', '--port', 0, *arguments)
        self.log = read_until(self.program, self.program.stderr, 'ready:')
        self.address = re.search(r'http://127\.0\.0\.1:\d+', self.log)[0]
        super().__init__(int(self.address.rpartition(':')[2]))
        # A full pipe would block the service.
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()

    def _read_log(self):
        for line in self.program.stderr:
            self.log += line

    def end(self):
        """Wait until it has ended after a signal, and return its exit code."""
        code = self.program.wait(TIMEOUT_S)
        self._reader.join()
        self.program.stdout.close()
        self.program.stderr.close()
        assert 'Traceback' not in self.log, self.log
        return code


def wait_for(condition):
    """Wait until a condition holds."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def find_networks(parent):
    """Yield the ids of the processes with the networks that a process has started."""
    for one in list_processes():
        if one.parent == parent and 'spawn_main' in one.command:
            yield one.number


def picture(kind='.png', seed=0, size_hw=SIZE_HW):
    """Return an image file."""
    bgr = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), np.uint8)
    return cv2.imencode(kind, cv2.GaussianBlur(bgr, (0, 0), 5))[1].tobytes()


def timeless(document):
    """Return the scene of an answer or a file without what differs from run to run."""
    scene = json.loads(document)
    assert set(scene.pop('timing_s')) >= {'pipeline'}
    assert scene['image'].pop('stamp_ns') == 0
    return json.dumps(scene)


def form(fields, image=None, field='image'):
    """Return body and headers of multipart/form-data."""
    boundary = uuid.uuid4().hex
    begin = f'--{boundary}\r\nContent-Disposition: form-data; name='
    parts = [f'{begin}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields]
    if image is not None:
        file = f'{begin}"{field}"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        parts.append(file.encode() + image + b'\r\n')
    parts.append(f'--{boundary}--\r\n'.encode())
    return b''.join(parts), {'Content-Type': f'multipart/form-data; boundary={boundary}'}
