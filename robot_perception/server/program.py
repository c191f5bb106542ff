"""The HTTP server as a program."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
import logging
import socket

import uvicorn

from robot_perception.core import OutputError
from robot_perception.pipeline import PerceptionConfig
from robot_perception.server.app import create_app
from robot_perception.server.connection import Connection
from robot_perception.server.guard import MAX_HEADER_BYTES
from robot_perception.server.settings import ServerSettings

_LOG = logging.getLogger(__name__)
MAX_CONNECTIONS = 512
_LOOPBACK = ('127.0.0.1', '::1', 'localhost')


def run_server(
    configs: Sequence[PerceptionConfig], settings: ServerSettings, host: str, port: int
) -> None:
    """Serve requests until SIGINT or SIGTERM; those that were accepted are answered first.

    Args:
        configs: one for each worker process.
        settings: access and limits.
        host: address to listen on.
        port: 0 takes a free one, which is logged.

    Raises:
        OutputError: the port is in use.
        ConfigError, ModelError: the networks cannot be loaded.
    """
    listener = _listen(host, port)
    app = create_app(configs, settings)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            # Limits the time of headers, and h11 how much of unfinished ones is kept.
            http=Connection,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ws='none',
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=round(settings.max_seconds) + 1,
        )
    )

    def stop() -> None:
        server.should_exit = True

    app.state.pool.on_error = stop
    if host not in _LOOPBACK and not settings.token:
        _LOG.warning(
            'note: other machines can use this service without a token; --token-file sets one.'
        )
    name = f'[{host}]' if ':' in host else host
    _LOG.info('serving http://%s:%d/ until Ctrl-C', name, listener.getsockname()[1])
    # uvicorn raises the signal again after its end.
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if app.state.pool.error is not None:
        raise app.state.pool.error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise OutputError(
            'port_in_use',
            f'{host}:{port}: expected an address and a free port of this machine, got: {error}. '
            'Choose others with --host and --port.',
        ) from error
    # Connections inherit it. asyncio sets it only for sockets that name their protocol; without it
    # an answer in two parts waits 40 ms for the client's acknowledgment.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
