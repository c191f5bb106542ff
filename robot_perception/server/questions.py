"""Questions about images, answered one at a time by the network of the describer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
import logging
import threading

from robot_perception.core import ConfigError, ModelError
from robot_perception.pipeline import DescriberProcess, PerceptionConfig, Question
from robot_perception.server.body import decode_picture
from robot_perception.server.problem import ProblemError, retry_after
from robot_perception.server.request_parameters import AskParameters
from robot_perception.viewer import answer_to_dict, encode_json

_LOG = logging.getLogger(__name__)
# Of the mean time of answers, the weight of the newest.
_WEIGHT = 0.2


class Questions:
    """Answers questions; further ones are refused while one is being answered.

    Attributes:
        running: questions that are being answered, 0 or 1.
    """

    def __init__(self, config: PerceptionConfig) -> None:
        """Keep the parameters; the first question starts the process of the describer."""
        self.running = 0
        self._config = config
        self._describer = DescriberProcess()
        # An answer is waited for, and the picture is decoded, beside the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='questions')
        self._mean_s = 1.0

    @property
    def are_answered(self) -> bool:
        """Whether a network for questions is configured."""
        return bool(self._config.describer.model)

    async def close(self) -> None:
        """End the process; a question that is being answered gets status 503."""
        await asyncio.to_thread(self._describer.close)
        self._thread.shutdown(wait=False)

    def check(self) -> None:
        """Raise ProblemError if no question would be accepted now: status 404 or 429."""
        if not self.are_answered:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                'no_describer',
                'expected a service that answers questions, got one without a network for them. '
                'Start it with --set describer.model=NAME.',
            )
        if self.running:
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                'busy',
                'expected one question at a time, got another while one is being answered. '
                'Try again after the time in Retry-After.',
                retry_after(self._mean_s),
            )

    async def answer(self, wanted: AskParameters, image: bytes) -> bytes:
        """Return the answer to a question as JSON; to cancel it ends the question.

        Raises:
            ProblemError: as `check`; or the network could not answer, status 503 or 504.
            ImageFileError: the image cannot be decoded.
            InputError: question or region are invalid.
        """
        self.check()
        stop = threading.Event()
        work = asyncio.get_running_loop().run_in_executor(
            self._thread, self._compute, wanted, image, stop.is_set
        )
        self.running += 1
        work.add_done_callback(self._ended)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()
            raise
        except (ConfigError, ModelError) as error:
            _LOG.warning('question: %s', error)
            if error.reason == 'timeout':
                raise ProblemError(HTTPStatus.GATEWAY_TIMEOUT, error.reason, str(error)) from error
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE, error.reason, str(error), retry_after(1)
            ) from error

    def _ended(self, work: asyncio.Future[bytes]) -> None:
        self.running -= 1
        # Without this, asyncio reports the error of a question that was cancelled.
        work.exception()

    def _compute(
        self, wanted: AskParameters, image: bytes, is_cancelled: Callable[[], bool]
    ) -> bytes:
        picture = decode_picture(image, self._config.input.max_pixels)
        question = Question(wanted.question, picture, wanted.region_xyxy)
        answer = self._describer.ask(self._config, question, is_cancelled=is_cancelled)
        self._mean_s += _WEIGHT * (answer.duration_s - self._mean_s)
        if answer.note:
            _LOG.warning('note: %s', answer.note)
        return encode_json(answer_to_dict(answer))
