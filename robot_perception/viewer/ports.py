"""Ports of the servers of scenes."""

from __future__ import annotations

import socket

from robot_perception.core import OutputError


def check_ports(host: str, *ports: int) -> None:
    """Raise OutputError where a server could not listen on one of the ports of an address."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        for port in ports:
            socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise OutputError(
            'port_in_use',
            f'{host}: expected free ports {" and ".join(map(str, ports))}, got: '
            f'{error.strerror}. Choose others with --port.',
        ) from error
