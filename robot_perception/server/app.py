"""The application: routes, and how a request becomes a job of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
import time
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from robot_perception import __version__
from robot_perception.core import PerceptionError, Stage
from robot_perception.pipeline import PerceptionConfig
from robot_perception.server import openapi
from robot_perception.server.body import read_body
from robot_perception.server.guard import Guard
from robot_perception.server.job import Format, Job
from robot_perception.server.metrics import Metrics
from robot_perception.server.page import page, PAGE_POLICY
from robot_perception.server.pool import WorkerPool
from robot_perception.server.problem import ProblemError
from robot_perception.server.questions import Questions
from robot_perception.server.request_parameters import read_ask_parameters, read_parameters
from robot_perception.server.settings import ServerSettings

_Result = TypeVar('_Result')
_SLUGS = {HTTPStatus.NOT_FOUND: 'not_found', HTTPStatus.METHOD_NOT_ALLOWED: 'wrong_method'}
_PATHS = frozenset(
    ('/', '/v1/scene', '/v1/embed', '/v1/ask', '/healthz', '/readyz', '/metrics', '/openapi.json')
)


def create_app(configs: Sequence[PerceptionConfig], settings: ServerSettings) -> FastAPI:
    """Create the application; its workers start and end with it.

    Args:
        configs: one for each worker process; they may differ in their device only.
        settings: access and limits.

    Returns:
        An ASGI application, whose ``state.pool`` is the `WorkerPool`.
    """
    service = _Service(configs, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.pool.start()
        try:
            yield
        finally:
            await service.questions.close()
            await service.pool.close()

    app = FastAPI(
        title='robot_perception',
        summary='Objects, masks, metric depth and features of an image.',
        version=__version__,
        lifespan=lifespan,
        # Their pages load scripts from other servers.
        docs_url=None,
        redoc_url=None,
    )
    app.state.pool = service.pool
    service.add_routes(app)
    app.add_exception_handler(PerceptionError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_route)
    app.add_middleware(Guard, settings=settings, metrics=service.metrics, paths=_PATHS)
    return app


class _Service:
    """The functions of the routes."""

    def __init__(self, configs: Sequence[PerceptionConfig], settings: ServerSettings) -> None:
        self._config = configs[0]
        self._settings = settings
        self.pool = WorkerPool(configs, settings.max_waiting, settings.max_seconds)
        self.questions = Questions(self._config)
        self.metrics = Metrics(self.pool, self.questions)

    def add_routes(self, app: FastAPI) -> None:
        """Add all routes."""
        app.post(
            '/v1/scene',
            summary='Process an image',
            response_class=Response,
            responses=openapi.scene_responses(),
            openapi_extra=openapi.scene_operation(self._config),
        )(self.scene)
        app.post(
            '/v1/embed',
            summary='Compute the features of an image',
            response_class=Response,
            responses=openapi.embed_responses(),
            openapi_extra=openapi.embed_operation(),
        )(self.embed)
        app.post(
            '/v1/ask',
            summary='Answer a question about an image',
            response_class=Response,
            responses=openapi.ask_responses(),
            openapi_extra=openapi.ask_operation(),
            include_in_schema=self.questions.are_answered,
        )(self.ask)
        app.get('/healthz', summary='Whether the service runs')(self.health)
        app.get('/readyz', summary='Whether networks are loaded')(self.readiness)
        app.get('/metrics', summary='Figures for Prometheus', response_class=Response)(
            self.figures
        )
        app.get('/', include_in_schema=False)(self.page)
        describe = app.openapi

        def described() -> dict[str, Any]:
            document = describe()
            schemas = document.setdefault('components', {}).setdefault('schemas', {})
            schemas['Problem'] = openapi.PROBLEM_SCHEMA
            return document

        app.openapi = described  # type: ignore[method-assign] # as FastAPI documents it

    async def scene(self, request: Request) -> Response:
        """Return what the networks find in an image.

        The image is the body, or the field ``image`` of a form. Every parameter may be in the
        query or a field of the form.
        """
        job, seconds = await self._read(request)
        return await self._answer(request, job, seconds)

    async def embed(self, request: Request) -> Response:
        """Return the embedding of an image: model, vector, and size of the grid of patches."""
        job, seconds = await self._read(request)
        if not self._config.features.enabled:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                'unknown_stage',
                'expected a service with the stage features, got one without it.',
            )
        job = replace(job, format=Format.FEATURES, stages=frozenset((Stage.FEATURES,)))
        return await self._answer(request, job, seconds)

    async def ask(self, request: Request) -> Response:
        """Return the answer to a question about an image or a region of it.

        The question is in the query, or a field of the form that has the image.
        """
        # Without reading the body, if it would be refused afterwards.
        self.questions.check()
        limit_s, query = self._settings.max_seconds, request.query_params.multi_items()
        read_ask_parameters(query, limit_s)
        image, fields = await read_body(request)
        wanted = read_ask_parameters([*query, *fields], limit_s)
        answer = asyncio.ensure_future(self.questions.answer(wanted, image))
        body = await _wait(request, answer, request.state.start_s + wanted.seconds)
        return Response(body, media_type=Format.JSON.media_type)

    async def health(self) -> dict[str, str]:
        """Answer while the process serves requests."""
        return {'status': 'ok'}

    async def readiness(self) -> JSONResponse:
        """Answer with status 200 if a worker has its networks, and 503 otherwise."""
        ready = self.pool.ready
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({'ready_workers': ready, 'waiting': self.pool.waiting}, status)

    async def figures(self) -> Response:
        """Return the figures of this process in Prometheus' text format."""
        return Response(self.metrics.text(), media_type='text/plain; version=0.0.4')

    async def page(self) -> HTMLResponse:
        """Return the page that shows the results of a photo or a webcam."""
        text = page(
            self._config.caveat,
            needs_token=bool(self._settings.token),
            can_ask=self.questions.are_answered,
        )
        return HTMLResponse(text, headers={'Content-Security-Policy': PAGE_POLICY})

    async def _read(self, request: Request) -> tuple[Job, float]:
        """Return what a request asks for, and until when it is answered, monotonic seconds."""
        # Without reading the body, if it would be refused afterwards.
        self.pool.check()
        accept = request.headers.get('accept', '')
        limit_s, query = self._settings.max_seconds, request.query_params.multi_items()
        read_parameters(query, accept, self._config, limit_s)
        image, fields = await read_body(request)
        wanted = read_parameters([*query, *fields], accept, self._config, limit_s)
        job = Job(
            image, wanted.format, wanted.stages, wanted.values, wanted.hfov_deg, wanted.camera
        )
        return job, request.state.start_s + wanted.seconds

    async def _answer(self, request: Request, job: Job, end_s: float) -> Response:
        answer = await _wait(request, self.pool.submit(job), end_s)
        self.metrics.add_scene(answer.timing_s)
        return Response(answer.body, media_type=job.format.media_type)


async def _wait(request: Request, future: asyncio.Future[_Result], end_s: float) -> _Result:
    """Wait for an answer until the deadline, or until the client closes the connection."""
    disconnect = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait(
            (future, disconnect),
            timeout=max(0.0, end_s - time.monotonic()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if future.done():
            return future.result()
        if disconnect.done():
            raise ClientDisconnect
        raise ProblemError(
            HTTPStatus.GATEWAY_TIMEOUT,
            'deadline',
            'expected an answer before the deadline, got none. Allow more time, compute fewer '
            'stages, or send fewer requests at once.',
        )
    finally:
        future.cancel()
        disconnect.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())['type'] != 'http.disconnect':
        pass


async def _refuse(request: Request, error: Exception) -> Response:
    problem = (
        error if isinstance(error, PerceptionError) else PerceptionError('internal', str(error))
    )
    return ProblemError.from_error(problem).response(request.state.request_id)


async def _refuse_route(request: Request, error: Exception) -> Response:
    """Answer a path or a method that the service does not have."""
    status = HTTPStatus(getattr(error, 'status_code', HTTPStatus.NOT_FOUND))
    problem = ProblemError(
        status,
        _SLUGS.get(status, 'bad_request'),
        f'{request.method} {request.url.path[:200]}: expected a path and a method of '
        '/openapi.json, got others.',
        getattr(error, 'headers', None),
    )
    return problem.response(request.state.request_id)
