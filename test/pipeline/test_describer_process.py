"""Questions to a process of its own."""

from contextlib import closing
from multiprocessing import active_children
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from reasons import raises
from tiny_describers import write_tiny_describer

from robot_perception.core import ConfigError, Image, InputError, ModelError
from robot_perception.pipeline import DescriberProcess, PerceptionConfig, Question

LONG = {'describer.max_new_tokens': 4096}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Folder of a checkpoint whose answers end by their length."""
    return write_tiny_describer('llava', tmp_path_factory.mktemp('describer') / 'llava')


@pytest.fixture(scope='module')
def of_network():
    """A process that loads the checkpoint once for all tests of the module."""
    with closing(DescriberProcess()) as process:
        yield process


@pytest.fixture
def of_stub():
    """A process of the stub."""
    with closing(DescriberProcess()) as process:
        yield process


def config(model='stub', **values):
    return PerceptionConfig.from_preset('stub', {'describer.model': str(model), **values})


def picture(height=48, width=64):
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (200, 100, 50)
    return Image(pixels)


def test_an_answer_by_token(of_stub):
    texts = []
    answer = of_stub.ask(config(), Question('what is this?', picture()), on_text=texts.append)
    assert answer.text == 'an image of 64 x 48 pixels, mean color 100 50 25'
    assert texts[:3] == ['an', 'an image', 'an image of']
    assert answer.duration_s > 0
    assert answer.note == ''


def test_only_a_region_is_asked_about(of_stub):
    question = Question('color?', picture(), (-10.0, 0.5, 31.2, 20.0))
    assert of_stub.ask(config(), question).text.startswith('an image of 32 x 20 pixels')
    assert question.corner_xy == (0, 0)


@pytest.mark.parametrize(
    ('text', 'region', 'reason'),
    [
        ('', None, 'empty_question'),
        (' \n\t', None, 'empty_question'),
        ('a' * 10_000, None, 'question_too_long'),
        ('what?', (64.0, 0.0, 80.0, 10.0), 'empty_region'),
        ('what?', (5.0, 5.0, 5.0, 9.0), 'empty_region'),
        ('what?', (float('nan'), 0.0, 10.0, 10.0), 'empty_region'),
    ],
)
def test_questions_without_an_answer(text, region, reason):
    with raises(InputError, reason):
        Question(text, picture(), region)


def test_no_network_is_configured(of_stub):
    with raises(ConfigError, 'no_describer', match='expected a network that answers'):
        of_stub.ask(config(model=''), Question('what?', picture()))
    assert of_stub.pid is None


def test_a_network_that_cannot_be_loaded(of_stub, tmp_path):
    with raises(ModelError, 'missing_file', match='config.json'):
        of_stub.ask(config(model=tmp_path), Question('what?', picture()))
    assert of_stub.ask(config(), Question('what?', picture())).note == ''


def test_a_killed_process_is_started_again(of_stub):
    question = Question('what?', picture())
    first = of_stub.ask(config(), question)
    (child,) = (one for one in active_children() if one.pid == of_stub.pid)
    child.kill()
    child.join()
    again = of_stub.ask(config(), question)
    assert again.text == first.text
    assert again.note == (
        'the process of the describer was started again: it was ended by SIGKILL.'
    )
    assert of_stub.ask(config(), question).note == ''


@pytest.mark.slow
def test_all_threads_of_the_process_have_the_lowest_priority(of_network, folder):
    threads = {'describer.cpu_threads': 2}
    of_network.ask(config(folder, **threads), Question('how many cups?', picture()))
    status = Path(f'/proc/{of_network.pid}')
    tasks = [int(one.name) for one in (status / 'task').iterdir()]
    assert len(tasks) > 1
    assert {os.getpriority(os.PRIO_PROCESS, one) for one in tasks} == {19}
    assert {os.sched_getscheduler(one) for one in tasks} == {os.SCHED_IDLE}
    assert int((status / 'oom_score_adj').read_text()) == 1000


PARENT = """
import sys, os, signal
from robot_perception.core import Image
from robot_perception.pipeline import DescriberProcess, PerceptionConfig, Question
import numpy as np
if __name__ == '__main__':
    config = PerceptionConfig.from_preset('stub', {'describer.model': 'stub'})
    process = DescriberProcess()
    process.ask(config, Question('what?', Image(np.zeros((8, 8, 3), np.uint8))))
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_process_ends_with_the_one_that_asks(tmp_path):
    script = tmp_path / 'parent.py'
    script.write_text(PARENT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    process = Path(f'/proc/{done.stdout.strip()}')
    end = time.monotonic() + 60
    while process.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not process.exists()


@pytest.mark.slow
def test_a_limit_of_time(of_network, folder):
    question, texts = Question('how many cups?', picture()), []
    limited = config(folder, **LONG, **{'describer.timeout_s': 3.0})
    with raises(ModelError, 'timeout', match='longer than 3 s'):
        of_network.ask(limited, question, on_text=texts.append)
    assert texts
    pid = of_network.pid
    short = config(folder, **{'describer.max_new_tokens': 3})
    assert of_network.ask(short, question).note == ''
    assert of_network.pid == pid


@pytest.mark.slow
def test_cancellation_and_one_question_at_a_time(of_network, folder):
    question, begun, cancelled, errors = Question('what?', picture()), [], threading.Event(), []

    def ask():
        with pytest.raises(ModelError) as caught:
            of_network.ask(
                config(folder, **LONG),
                question,
                on_text=begun.append,
                is_cancelled=cancelled.is_set,
            )
        errors.append(caught.value.reason)

    thread = threading.Thread(target=ask)
    thread.start()
    while not begun and thread.is_alive():
        time.sleep(0.01)
    with raises(ModelError, 'busy', match='another question'):
        of_network.ask(config(folder), question)
    cancelled.set()
    thread.join(20)
    assert errors == ['cancelled']
    short = config(folder, **{'describer.max_new_tokens': 3})
    assert of_network.ask(short, question).text


@pytest.mark.slow
def test_killed_and_closed_during_a_question(of_network, folder):
    def kill(_):
        os.kill(of_network.pid, signal.SIGKILL)

    with raises(ModelError, 'process_ended', match=r'ended by SIGKILL.*starts it again'):
        of_network.ask(config(folder, **LONG), Question('what?', picture()), on_text=kill)
    short = config(folder, **{'describer.max_new_tokens': 3})
    assert 'SIGKILL' in of_network.ask(short, Question('what?', picture())).note
    # The last test of this process.
    with raises(ModelError, 'process_ended'):
        of_network.ask(
            config(folder, **LONG),
            Question('what?', picture()),
            on_text=lambda _: threading.Thread(target=of_network.close).start(),
        )
    with raises(ModelError, 'closed'):
        of_network.ask(config(), Question('what?', picture()))


SPAWN = """
import signal, sys, threading
sys.path[:0] = {path!r}
from robot_perception.pipeline import DescriberProcess, PerceptionConfig, Question
from robot_perception.core import Image
import numpy as np

if __name__ == '__main__':
    describer = DescriberProcess()
    config = PerceptionConfig.from_preset('stub', {{'describer.model': 'stub'}})
    describer.ask(config, Question('what?', Image(np.zeros((48, 64, 3), np.uint8))))
    status = open(f'/proc/{{describer.pid}}/status').read()
    (mask,) = (line for line in status.splitlines() if line.startswith('SigBlk'))
    print(bool(int(mask.split()[1], 16) >> (signal.SIGINT - 1) & 1))
    describer.end()
    print(describer.pid)
    print(describer.ask(config, Question('what?', Image(np.zeros((48, 64, 3), np.uint8)))).note)
    describer.close()
"""


@pytest.mark.slow
def test_the_first_process_leaves_ctrl_c_to_the_one_that_asks(tmp_path):
    script = tmp_path / 'spawn.py'
    script.write_text(SPAWN.format(path=sys.path))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    # After `end` another process is started, and there is nothing to state.
    assert done.stdout.split('\n')[:3] == ['True', 'None', '']
