"""HTTP on one connection, with a limit of the time that the headers of a request take."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
import logging
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_LOG = logging.getLogger(__name__)


class Connection(H11Protocol):
    """Ends a connection whose headers are not complete in time, which uvicorn would keep.

    Otherwise clients that send a byte now and then could take all connections. The time begins
    when the connection is made, and with the first byte of each further request.
    """

    max_header_s: ClassVar[float] = 10.0

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Take over arguments of uvicorn."""
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Handle what a client sent."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time of a request."""
        super().connection_lost(exc)
        self._stop()

    def _watch(self) -> None:
        """Start the time of headers that are not complete, and end that of others."""
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.max_header_s, self._end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        data, _ = self.conn.trailing_data
        if self.transport.is_closing():
            return
        if data:
            _LOG.info('a client was too slow to send its headers')
            self._refuse()
        self.transport.close()

    def _refuse(self) -> None:
        status = HTTPStatus.REQUEST_TIMEOUT
        text = f'expected all headers of a request within {self.max_header_s:g} s'
        for event in (
            h11.Response(
                status_code=status,
                headers=[('Content-Type', 'text/plain; charset=utf-8'), ('Connection', 'close')],
                reason=status.phrase.encode(),
            ),
            h11.Data(data=text.encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b'')
