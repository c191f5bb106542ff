"""The service as an application of Ray Serve (extra ``serve-ray``), for more than one machine.

Started by ``serve run robot_perception.server.deployment:build preset=cpu``.
"""
# Without the annotations of __future__: Ray Serve reads that of `build` as a class.

import os
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from robot_perception.core import ConfigError, ModelError, requires
from robot_perception.pipeline import PerceptionConfig, Value
from robot_perception.server.app import create_app
from robot_perception.server.guard import ID_HEADER
from robot_perception.server.program import MAX_CONNECTIONS
from robot_perception.server.settings import read_token, ServerSettings

with requires('"robot_perception[serve-ray]"'):
    from ray import serve

_DEFAULTS = ServerSettings()


class Arguments(BaseModel):
    """Arguments of `build`, named like the flags of ``robot-perception serve``.

    Attributes:
        preset: set of default parameters; ``robot`` without one and without ``config``.
        config: ROS parameter file to use instead of a preset.
        parameters: further parameters, by dotted name.
        device: that runs the networks of each replica; several, separated by commas, get a process
            each.
        token_file: with the token that requests must present; without it the environment variable
            ``ROBOT_PERCEPTION_TOKEN`` is used, if it is set.
        queue: waiting requests of each replica beyond which new ones get status 429.
        deadline: seconds until a request is answered, at most.
        max_body: size of a request's body in MiB, at most.
    """

    model_config = ConfigDict(extra='forbid')

    preset: str = ''
    config: Path | None = None
    parameters: dict[str, Value] = Field(default_factory=dict)
    device: str = ''
    token_file: Path | None = None
    queue: int = _DEFAULTS.max_waiting
    deadline: float = _DEFAULTS.max_seconds
    max_body: int = _DEFAULTS.max_body_mb

    def configs(self) -> list[PerceptionConfig]:
        """Return the configuration of each worker process of a replica.

        Raises:
            ConfigError: a file or a value is invalid.
        """
        if self.preset and self.config is not None:
            raise ConfigError('conflicting_parameters', 'expected preset or config, got both.')
        if self.config is None:
            config = PerceptionConfig.from_preset(self.preset or 'robot', self.parameters)
        else:
            config = PerceptionConfig.from_file(self.config, self.parameters)
        devices = (self.device or config.device).split(',')
        return [config.with_values({'device': device}) for device in devices]

    def settings(self) -> ServerSettings:
        """Return access and limits.

        Raises:
            ConfigError: the token or a limit is invalid.
        """
        token = read_token(self.token_file, os.environ)
        return ServerSettings(token, self.queue, self.deadline, self.max_body)


def build(arguments: Arguments) -> serve.Application:
    """Build the application for Ray Serve; its one deployment is called ``Perception``.

    How many replicas there are, and what each may use, are options of Ray Serve.

    Raises:
        ConfigError: an argument is invalid.
    """
    configs, settings = arguments.configs(), arguments.settings()

    def create() -> ASGIApp:
        app = create_app(configs, settings)
        app.add_middleware(_ProxyHeaders)
        return app

    deployment = serve.deployment(
        # The application itself refuses requests beyond its queue, at once.
        max_ongoing_requests=MAX_CONNECTIONS,
        max_queued_requests=MAX_CONNECTIONS,
        graceful_shutdown_timeout_s=settings.max_seconds + 1,
    )
    return deployment(serve.ingress(create)(Perception)).bind()


class Perception:
    """A replica: the application, and a process with the networks for each device."""

    app: FastAPI

    async def check_health(self) -> None:
        """Wait until the networks are loaded at the start; afterwards answer like ``/readyz``.

        Raises:
            ConfigError, ModelError: the networks cannot be loaded, or their processes ended.
        """
        pool = self.app.state.pool
        await pool.wait_loaded()
        if not pool.ready:
            raise ModelError(
                'no_worker',
                'expected networks, got the end of their process, which is started again.',
            )


class _ProxyHeaders:
    """Middleware that leaves out a header which the proxy of Ray Serve adds to each answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without(message: Message) -> None:
            if message['type'] == 'http.response.start':
                del MutableHeaders(scope=message)[ID_HEADER]
            await send(message)

        await self._app(scope, receive, send_without)
