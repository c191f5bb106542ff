"""``robot-perception serve``: answers HTTP requests with the scenes of their images."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.settings import add_settings, log_caveat, read_settings
from robot_perception.core import ConfigError
from robot_perception.pipeline import check_checkpoints

_LAST_PORT = 65535
_EPILOG = """\
exit codes: 0 ended by Ctrl-C or SIGTERM, 1 no networks or port in use, 2 bad arguments

examples:
  robot-perception serve --preset cpu
  curl --data-binary @photo.jpg localhost:8000/v1/scene
  robot-perception serve --host 0.0.0.0 --token-file token.txt --device cuda:0,cuda:1
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'serve',
        run,
        help='answer HTTP requests: scene.json, overlay, depth and cloud of an image',
        description='Serves an HTTP interface, and a page for browsers at /. With several '
        'devices, separated by commas in --device, each gets a process with all networks.',
        epilog=_EPILOG,
    )
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        metavar='ADDRESS',
        help='address to listen on; 0.0.0.0 lets other machines connect (default: %(default)s)',
    )
    parser.add_argument(
        '--port', type=int, default=8000, help='0 takes a free one (default: %(default)s)'
    )
    parser.add_argument(
        '--token-file',
        type=Path,
        metavar='FILE',
        help='file with the token that requests must present; without it the environment variable '
        'ROBOT_PERCEPTION_TOKEN is used, if it is set',
    )
    parser.add_argument(
        '--queue',
        type=int,
        default=16,
        metavar='N',
        help='waiting requests beyond which new ones get status 429 (default: %(default)s)',
    )
    parser.add_argument(
        '--deadline',
        type=float,
        default=30.0,
        metavar='S',
        help='seconds until a request is answered, at most (default: %(default)s)',
    )
    parser.add_argument(
        '--max-body',
        type=int,
        default=32,
        metavar='MIB',
        help='largest body of a request (default: %(default)s); input.max_pixels limits images',
    )
    parser.add_argument(
        '--root-path',
        default='',
        metavar='PATH',
        help='path under which a reverse proxy offers the service, such as /perception',
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal, and return the exit code."""
    from robot_perception import server  # noqa: PLC0415 - optional

    settings = server.ServerSettings(
        server.read_token(arguments.token_file, os.environ),
        arguments.queue,
        arguments.deadline,
        arguments.max_body,
        arguments.root_path,
    )
    if not 0 <= arguments.port <= _LAST_PORT:
        raise ConfigError(
            'out_of_range', f'--port: expected 0 to {_LAST_PORT}, got {arguments.port}.'
        )
    devices = [None] if arguments.device is None else arguments.device.split(',')
    configs = []
    for device in devices:
        arguments.device = device
        configs.append(read_settings(arguments))
        check_checkpoints(configs[-1])
    log_caveat(configs[0], [], answers=True)
    server.run_server(configs, settings, arguments.host, arguments.port)
    return 0
