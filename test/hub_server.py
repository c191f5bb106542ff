"""A server on this machine that speaks the protocol of the Hugging Face Hub."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
from pathlib import Path
import threading
import time
from urllib.parse import urlsplit


class Hub:
    """Models by id: the folder of their files and their commit.

    Attributes:
        url: of the server.
        requests: method and path of every request.
        cards: id -> what the card of the model states, such as its license.
        gated: ids whose files are refused until the terms are accepted.
        damaged: files that are sent with one byte changed.
        claimed_bytes: file -> size that is claimed instead of the true one.
        pause_s: between the pieces of a file, of which a quarter is sent at a time.
        pieces: file -> number of its pieces sent so far.
    """

    def __init__(self):
        self.url = ''
        self.requests = []
        self.models = {}
        self.cards = {}
        self.gated = set()
        self.damaged = set()
        self.claimed_bytes = {}
        self.pause_s = 0.0
        self.pieces = Counter()

    def add(self, model, folder, commit='b' * 40):
        """Serve the files of a folder."""
        self.models[model] = (Path(folder), commit)

    def info(self, model):
        """Describe a model as the Hub does."""
        folder, commit = self.models[model]
        files = [self._describe(path) for path in sorted(folder.iterdir())]
        found = {'id': model, 'modelId': model, 'sha': commit, 'siblings': files}
        return found | {'cardData': self.cards.get(model)}

    def _describe(self, path):
        size = self.claimed_bytes.get(path.name, path.stat().st_size)
        found = {'rfilename': path.name, 'size': size, 'blobId': '0' * 40}
        if path.suffix == '.safetensors':
            found['lfs'] = {'size': size, 'sha256': sha256(path), 'pointerSize': 134}
        return found


def sha256(path):
    """Return the checksum of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """Run a server without models; its address is ``url``."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self._answer(send_body=False)

        def do_GET(self):
            self._answer(send_body=True)

        def _answer(self, *, send_body):
            hub.requests.append((self.command, self.path))
            code, headers, body = respond(hub, urlsplit(self.path).path)
            self.send_response(code)
            for name, value in {**headers, 'Content-Length': str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if send_body:
                self._send(body)

        def _send(self, body):
            if not hub.pause_s:
                self.wfile.write(body)
                return
            step = max(1, -(-len(body) // 4))
            # The client may have been killed.
            with suppress(OSError):
                for begin in range(0, len(body), step):
                    self.wfile.write(body[begin : begin + step])
                    self.wfile.flush()
                    hub.pieces[Path(self.path).name] += 1
                    time.sleep(hub.pause_s)

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f'http://127.0.0.1:{server.server_port}'
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def respond(hub, path):
    """Return status code, headers and body for a path."""
    parts = path.strip('/').split('/')
    if parts[:2] == ['api', 'models']:
        model, revision = '/'.join(parts[2:4]), parts[-1]
        if model not in hub.models:
            return 404, {'X-Error-Code': 'RepoNotFound'}, b''
        if revision not in ('main', hub.models[model][1]):
            return 404, {'X-Error-Code': 'RevisionNotFound'}, b''
        return 200, {'Content-Type': 'application/json'}, json.dumps(hub.info(model)).encode()
    model, name = '/'.join(parts[:2]), parts[-1]
    if model not in hub.models:
        return 404, {}, b''
    folder, commit = hub.models[model]
    if model in hub.gated:
        return 403, {'X-Error-Code': 'GatedRepo'}, b''
    data = (folder / name).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if name in hub.damaged:
        data = data[:-1] + bytes([data[-1] ^ 1])
    return 200, {'ETag': f'"{digest}"', 'X-Repo-Commit': commit}, data
