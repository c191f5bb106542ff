"""The process that answers questions: it loads one network and answers until it is closed."""

from __future__ import annotations

from contextlib import suppress
import multiprocessing
from multiprocessing.connection import Connection
import os
from pathlib import Path
import threading
from typing import NamedTuple

from robot_perception import models
from robot_perception.core import Answer, Image, ModelError, PerceptionError
from robot_perception.models import Describer

_LOWEST_PRIORITY = 19
# Of all processes this one is ended first if memory runs out.
_ENDED_FIRST = '1000'


class Network(NamedTuple):
    """What a process loads.

    Attributes:
        model: parameter ``describer.model``.
        precision: of the network.
        device: that the network runs on.
        cpu_threads: of the process.
    """

    model: str
    precision: str
    device: str
    cpu_threads: int


class Request(NamedTuple):
    """A question to the process.

    Attributes:
        number: of the question; every message about it has this number.
        text: the question.
        image: the pixels that it is about.
        max_new_tokens: maximum length of the answer.
    """

    number: int
    text: str
    image: Image
    max_new_tokens: int


class Stop(NamedTuple):
    """Requests the end of an answer."""

    number: int


class Loaded(NamedTuple):
    """States that the network is loaded."""


class Progress(NamedTuple):
    """The answer so far."""

    number: int
    text: str


class Outcome(NamedTuple):
    """The end of a question, or of loading (number 0)."""

    number: int
    result: Answer | PerceptionError


def answer_questions(connection: Connection, network: Network) -> None:
    """Load a network and answer requests, in a process of its own, until the other end closes.

    Sends `Loaded`, then `Progress` and `Outcome` of each `Request`. If the network cannot be
    loaded it sends the `Outcome` of number 0 and ends.
    """
    _give_way()
    threading.Thread(target=_end_with_parent, name='parent', daemon=True).start()
    with suppress(OSError):
        Path('/proc/self/oom_score_adj').write_text(_ENDED_FIRST, encoding='ascii')
    with suppress(EOFError, OSError):
        try:
            describer = _load(network)
        except PerceptionError as error:
            connection.send(Outcome(0, error))
            return
        connection.send(Loaded())
        while True:
            request = connection.recv()
            if isinstance(request, Request):
                connection.send(Outcome(request.number, _answer(describer, request, connection)))


def _give_way() -> None:
    """Leave the processors to all other programs, with the threads that numpy has started too.

    Linux may let a thread that wakes up wait for one of the lowest nice value until the slice of
    that one ends. It interrupts threads of the policy for idle processors at once, and takes a
    processor that runs only these as idle.
    """
    os.nice(_LOWEST_PRIORITY)
    with suppress(OSError):
        for thread in (int(one.name) for one in Path('/proc/self/task').iterdir()):
            # One that has ended meanwhile must not keep the others from it.
            with suppress(AttributeError, OSError):
                os.setpriority(os.PRIO_PROCESS, thread, _LOWEST_PRIORITY)
                os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))


def _end_with_parent() -> None:
    """End this process when the one that asks has ended, also while the network is loaded."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - called in a child only
    parent.join()
    os._exit(1)


def _load(network: Network) -> Describer:
    try:
        if network.model != models.STUB:
            models.check_installation()
            models.limit_cpu_threads(network.cpu_threads)
        return models.build_describer(
            network.model, device=network.device, precision=network.precision
        )
    except PerceptionError:
        raise
    except Exception as error:
        # Libraries raise any exception, and this is the only way to the user.
        raise ModelError(
            'network_failed',
            f'describer.model: {network.model} cannot be loaded ({type(error).__name__}: '
            f'{error}). Use another model.',
        ) from error


def _answer(
    describer: Describer, request: Request, connection: Connection
) -> Answer | PerceptionError:
    def show(text: str) -> None:
        connection.send(Progress(request.number, text))

    def stop() -> bool:
        # Nothing else is sent before the outcome.
        return connection.poll() and isinstance(connection.recv(), Stop)

    try:
        return describer.answer(
            request.image,
            request.text,
            max_new_tokens=request.max_new_tokens,
            on_text=show,
            stop=stop,
        )
    except PerceptionError as error:
        # Without the traceback, which holds the network.
        return error.with_traceback(None)
