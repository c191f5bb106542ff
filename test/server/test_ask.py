"""Questions over HTTP: answers are those of `ask`, one at a time, and nothing is left behind."""

import concurrent.futures
from contextlib import contextmanager, suppress
import json
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess

import cv2
import numpy as np
import pytest

pytest.importorskip('fastapi')

from commands import Command
from http_service import form, wait_for
from processes import list_processes

pytestmark = pytest.mark.slow
ARGUMENTS = ('--set', 'describer.model=stub')
PICTURE = cv2.imencode('.png', np.full((48, 64, 3), (50, 100, 200), np.uint8))[1].tobytes()
ASKED = form([('question', 'what is this?')], PICTURE)


def timeless(document):
    answer = json.loads(document)
    assert answer.pop('duration_s') > 0
    return answer


@pytest.mark.parametrize('region', [None, (8, 4, 32, 24)])
def test_answers_are_those_of_ask(service, tmp_path, region):
    (tmp_path / 'photo.png').write_bytes(PICTURE)
    flags, fields = (), [('question', 'what is this?')]
    if region is not None:
        flags = ('--region', *region)
        fields.append(('region', ','.join(map(str, region))))
    done = Command(tmp_path)(
        'ask', 'photo.png', 'what is this?', '--model', 'stub', *flags, '--json'
    )
    expected = timeless(done.stdout)
    del expected['file'], expected['question']
    status, headers, body = service.request('/v1/ask', *form(fields, PICTURE))
    assert (status, headers['Content-Type']) == (200, 'application/json')
    assert timeless(body) == expected
    status, _, body = service.request('/v1/ask?question=what%20is%20this%3F', PICTURE)
    assert status == 200
    assert timeless(body)['answer'].startswith('an image of 64 x 48 pixels')


@pytest.mark.parametrize(
    ('fields', 'image', 'status', 'reason'),
    [
        ([], PICTURE, 422, 'empty_question'),
        ([('question', 'x' * 2001)], PICTURE, 422, 'question_too_long'),
        ([('question', 'x' * 20_000)], PICTURE, 400, 'broken_form'),
        ([('question', 'what?'), ('region', '64,0,10,10')], PICTURE, 422, 'empty_region'),
        ([('question', 'what?'), ('model', 'other')], PICTURE, 422, 'unknown_parameter'),
        ([('question', 'what?')], None, 400, 'missing_image'),
        ([('question', 'what?')], PICTURE[:60], 400, 'data'),
        ([('question', 'what?')], b'%PDF-1.7', 415, 'unknown_format'),
    ],
)
def test_refusals_name_their_reason(service, fields, image, status, reason):
    assert service.problem('/v1/ask', *form(fields, image)) == (status, reason)


def running(service):
    return service.metric('robot_perception_running_questions')


@contextmanager
def stopped_describer(service):
    """Stop the process that answers; yield its number."""
    assert service.request('/v1/ask', *ASKED)[0] == 200
    (pid,) = describers(service.program.pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def describers(parent):
    """Yield the processes that are ended first when memory runs out."""
    for one in list_processes():
        if one.parent == parent and one.oom_score == 1000:
            yield one.number


def test_one_question_at_a_time(service):
    with concurrent.futures.ThreadPoolExecutor(1) as pool, stopped_describer(service):
        first = pool.submit(service.request, '/v1/ask', *ASKED)
        wait_for(lambda: running(service) == 1)
        status, headers, body = service.request('/v1/ask', *ASKED)
        assert (status, json.loads(body)['reason']) == (429, 'busy')
        assert int(headers['Retry-After']) >= 1
        # Scenes are computed meanwhile.
        assert service.request('/v1/scene', PICTURE)[0] == 200
    assert first.result()[0] == 200
    assert running(service) == 0


def test_a_question_ends_with_its_client_or_at_its_deadline(service):
    with stopped_describer(service):
        gone = service.connect()
        gone.request('POST', '/v1/ask', *ASKED)
        wait_for(lambda: running(service) == 1)
        gone.close()
        wait_for(lambda: running(service) == 0)
    assert b'path="/v1/ask",status="499"' in service.request('/metrics')[2]
    with stopped_describer(service):
        late = form([('question', 'what?'), ('deadline_s', '0.3')], PICTURE)
        assert service.problem('/v1/ask', *late) == (504, 'deadline')
        wait_for(lambda: running(service) == 0)
    assert service.request('/v1/ask', *ASKED)[0] == 200


def test_a_process_that_ends_is_started_again(service):
    with concurrent.futures.ThreadPoolExecutor(1) as pool, stopped_describer(service) as pid:
        lost = pool.submit(service.request, '/v1/ask', *ASKED)
        wait_for(lambda: running(service) == 1)
        os.kill(pid, signal.SIGKILL)
        status, headers, body = lost.result()
    assert (status, json.loads(body)['reason']) == (503, 'process_ended')
    assert headers['Retry-After'] == '1'
    assert service.request('/v1/ask', *ASKED)[0] == 200


def test_openapi_describes_what_is_answered(service):
    document = json.loads(service.request('/openapi.json')[2])
    ask = document['paths']['/v1/ask']['post']
    assert [one['name'] for one in ask['parameters']] == ['question', 'region', 'deadline_s']
    example = ask['responses']['200']['content']['application/json']['example']
    answer = json.loads(service.request('/v1/ask', *ASKED)[2])
    assert example.keys() == answer.keys()


def test_the_lines_of_the_page_run_as_pasted(service, tmp_path):
    if shutil.which('curl') is None:
        pytest.skip('needs curl')
    (tmp_path / 'photo.jpg').write_bytes(PICTURE)
    text = (Path(__file__).parents[2] / 'docs' / 'questions.md').read_text(encoding='utf-8')
    lines = re.findall(r'^curl .*$', text, re.MULTILINE)
    assert len(lines) > 1
    for line in lines:
        command = line.replace('localhost:8000', service.address)
        program = subprocess.run(
            ['bash', '-c', command], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        assert timeless(program.stdout)['answer'].startswith('an image of '), line
