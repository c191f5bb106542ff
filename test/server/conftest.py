"""A service with stub networks, which all tests of a file share."""

import signal

from commands import Command
from http_service import QUEUE, Service
import pytest


@pytest.fixture(scope='module')
def service(request, tmp_path_factory):
    """A service whose queue holds two requests; it ends at SIGTERM.

    The list ARGUMENTS of the file of tests is added to its command.
    """
    command = Command(tmp_path_factory.mktemp('service'))
    arguments = ['--preset', 'stub', '--queue', QUEUE, '--max-body', 8, '--deadline', 300]
    running = Service(command, *arguments, *getattr(request.module, 'ARGUMENTS', ()))
    try:
        yield running
    finally:
        running.program.send_signal(signal.SIGTERM)
        assert running.end() == 0
