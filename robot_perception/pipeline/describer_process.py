"""Questions about images, answered by a process of its own at the lowest priority."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
import itertools
import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
import signal
import threading
import time
from typing import NamedTuple

import numpy as np

from robot_perception import models
from robot_perception.core import (
    Answer,
    blocking_interrupts,
    ConfigError,
    ModelError,
    PerceptionError,
)
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.describer_program import (
    answer_questions,
    Loaded,
    Network,
    Outcome,
    Progress,
    Request,
    Stop,
)
from robot_perception.pipeline.question import Question

# Small, for many questions, and of a permissive license.
_SUGGESTED = 'HuggingFaceTB/SmolVLM2-500M-Video-Instruct'
_POLL_S = 0.05
_LOAD_LIMIT_S = 600.0
# For the token that is being computed when an answer is stopped: long where other programs have
# the processors, but loading the network again would take longer.
_STOP_LIMIT_S = 10.0


def _ignore(_: str) -> None:
    """Ignore an unfinished answer."""


def _never() -> bool:
    return False


class _Running(NamedTuple):
    process: BaseProcess
    connection: Connection
    network: Network


class DescriberProcess:
    """Answers questions one at a time, in a process that is started for the first of them.

    The process has the lowest priority, and is the first to be ended when memory runs out. If it
    ends, the next question starts it again, and the answer states that. Its methods may be called
    from any thread.
    """

    def __init__(self) -> None:
        """Start without a process."""
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._is_loaded = False
        self._is_closed = False
        self._end_reason = ''
        self._numbers = itertools.count(1)

    @property
    def pid(self) -> int | None:
        """Number of the process, None while there is none."""
        running = self._running
        return None if running is None else running.process.pid

    def ask(
        self,
        config: PerceptionConfig,
        question: Question,
        *,
        on_text: Callable[[str], None] = _ignore,
        is_cancelled: Callable[[], bool] = _never,
    ) -> Answer:
        """Ask a question and wait for the answer.

        Args:
            config: its section ``describer`` and its device; the process is started again where
                these have changed.
            question: what to ask.
            on_text: receives the answer so far, after each token.
            is_cancelled: ends the question; called every 50 ms.

        Returns:
            The answer, with boxes in pixels of the whole image.

        Raises:
            ConfigError: ``'no_describer'``, no network is configured.
            ModelError: ``'busy'``, another question is being answered; ``'cancelled'``;
                ``'timeout'``; ``'process_ended'``; ``'closed'``; or the network
                cannot be loaded or used.
            InputError: the question has words that control the network.
        """
        if not config.describer.model:
            self.end()
            raise ConfigError(
                'no_describer',
                'describer.model: expected a network that answers questions, got none. Fetch one, '
                f'"robot-perception models pull {_SUGGESTED}", and name it (--model of ask).',
            )
        self._check_open()
        if not self._lock.acquire(blocking=False):
            raise ModelError(
                'busy', 'another question is being answered. Ask again when it is, or cancel it.'
            )
        try:
            start_s = time.monotonic()
            note = self._start(config)
            running = self._running
            assert running is not None  # noqa: S101 - just started
            # `close` may have found no process yet.
            self._check_open()
            with self._explaining_end(running):
                self._wait_until_loaded(running, is_cancelled)
                answer = self._answer(running, config, question, on_text, is_cancelled)
            return replace(answer, duration_s=time.monotonic() - start_s, note=note)
        finally:
            self._lock.release()

    def end(self) -> None:
        """End the process and free its memory; a question that is being answered fails."""
        running = self._running
        if running is not None:
            running.process.kill()
        with self._lock:
            self._end('')

    def close(self) -> None:
        """End the process as `end`; further questions fail."""
        self._is_closed = True
        self.end()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ModelError('closed', 'questions are no longer answered: this program ends.')

    def _start(self, config: PerceptionConfig) -> str:
        """Start the process unless it runs with this network; return what is to be known of it."""
        section = config.describer
        network = Network(
            section.model, section.precision.value, config.device, section.cpu_threads
        )
        running = self._running
        if running is not None and not running.process.is_alive():
            self._end(_describe_exit(running.process.exitcode))
        elif running is not None and running.network != network:
            self._end('')
        if self._running is None:
            if network.model != models.STUB:
                # At once, and not after the libraries of networks are loaded.
                models.locate_checkpoint(network.model, models.DESCRIBER)
            self._running = _spawn(network)
        note, self._end_reason = self._end_reason, ''
        return note and f'the process of the describer was started again: {note}.'

    def _wait_until_loaded(self, running: _Running, is_cancelled: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + _LOAD_LIMIT_S
        while not self._is_loaded:
            if is_cancelled():
                raise _cancelled()
            if time.monotonic() > deadline_s:
                self._end(f'it had not loaded its network after {_LOAD_LIMIT_S:g} s')
                raise _timeout('describer.model', _LOAD_LIMIT_S, 'loading')
            message = _receive(running.connection)
            if isinstance(message, Loaded):
                self._is_loaded = True
            elif isinstance(message, Outcome) and isinstance(message.result, PerceptionError):
                self._end('')
                raise message.result

    def _answer(
        self,
        running: _Running,
        config: PerceptionConfig,
        question: Question,
        on_text: Callable[[str], None],
        is_cancelled: Callable[[], bool],
    ) -> Answer:
        number = next(self._numbers)
        section = config.describer
        running.connection.send(
            Request(number, question.text.strip(), question.crop(), section.max_new_tokens)
        )
        deadline_s = time.monotonic() + section.timeout_s
        while True:
            message = _receive(running.connection)
            # Messages of questions that were cancelled are skipped.
            if isinstance(message, Progress) and message.number == number:
                on_text(message.text)
            elif isinstance(message, Outcome) and message.number == number:
                if isinstance(message.result, PerceptionError):
                    raise message.result
                return _in_whole_image(message.result, question)
            if is_cancelled():
                self._stop(running, number)
                raise _cancelled()
            if time.monotonic() > deadline_s:
                self._stop(running, number)
                raise _timeout('describer.timeout_s', section.timeout_s, 'the answer')

    def _stop(self, running: _Running, number: int) -> None:
        """End an answer; if the network does not end it, end the process."""
        running.connection.send(Stop(number))
        deadline_s = time.monotonic() + _STOP_LIMIT_S
        while time.monotonic() < deadline_s:
            message = _receive(running.connection)
            if isinstance(message, Outcome) and message.number == number:
                return
        self._end(f'it had not ended an answer within {_STOP_LIMIT_S:g} s')

    @contextmanager
    def _explaining_end(self, running: _Running) -> Iterator[None]:
        """Raise ModelError where the process ends in the body."""
        try:
            yield
        except (EOFError, OSError) as error:
            running.process.join(_STOP_LIMIT_S)
            reason = _describe_exit(running.process.exitcode)
            self._end(reason)
            raise ModelError(
                'process_ended',
                f'the process of the describer ended before it had answered: {reason}. The next '
                'question starts it again.',
            ) from error

    def _end(self, reason: str) -> None:
        """End the process; ``reason`` is stated with the next answer."""
        running, self._running = self._running, None
        self._is_loaded = False
        self._end_reason = reason
        if running is not None:
            running.connection.close()
            running.process.kill()
            # Where other programs have all processors, its end may take long: it is not awaited.
            running.process.join(_STOP_LIMIT_S)


def _spawn(network: Network) -> _Running:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context('spawn').Process(
        target=answer_questions, args=(theirs, network), name='describer', daemon=True
    )
    # Ctrl-C reaches this process too; it is for the one that asks, whose end closes the pipe.
    with theirs, blocking_interrupts():
        process.start()
    return _Running(process, ours, network)


def _receive(connection: Connection) -> object:
    """Return the next message, None after a moment without one."""
    return connection.recv() if connection.poll(_POLL_S) else None


def _describe_exit(code: int | None) -> str:
    if code is None:
        return 'it closed its connection'
    if code < 0:
        return f'it was ended by {signal.Signals(-code).name}'
    return f'it exited with code {code}'


def _cancelled() -> ModelError:
    return ModelError('cancelled', 'the question was cancelled.')


def _timeout(parameter: str, limit_s: float, what: str) -> ModelError:
    return ModelError(
        'timeout',
        f'{parameter}: {what} took longer than {limit_s:g} s. Use a smaller model, more '
        'describer.cpu_threads, fewer describer.max_new_tokens, or a longer describer.timeout_s.',
    )


def _in_whole_image(answer: Answer, question: Question) -> Answer:
    """Return an answer about a region with boxes in pixels of the whole image."""
    detections = answer.detections
    if not len(detections):
        return answer
    left, top = question.corner_xy
    moved = detections.boxes_xyxy + np.array([left, top, left, top], np.float32)
    return replace(answer, detections=replace(detections, boxes_xyxy=moved))
