"""The HTTP service: scenes of images, on request (extra ``serve``)."""

from robot_perception.core import requires

with requires('"robot_perception[serve]"'):
    from robot_perception.server.app import create_app
    from robot_perception.server.program import run_server
    from robot_perception.server.settings import read_token, ServerSettings, TOKEN_VARIABLE

__all__ = ['TOKEN_VARIABLE', 'ServerSettings', 'create_app', 'read_token', 'run_server']
