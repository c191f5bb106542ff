"""The service over HTTP: results are those of `image`, and nothing ends or blocks it."""

import concurrent.futures
from contextlib import contextmanager, suppress
import io
import json
import os
from pathlib import Path
import re
import shutil
import signal
import socket
import subprocess
import time
import zipfile

import cv2
import numpy as np
import pytest

pytest.importorskip('fastapi')

from commands import Command
from http_service import (
    find_networks,
    form,
    picture,
    QUEUE,
    Service,
    SIZE_HW,
    timeless,
    wait_for,
)

from robot_perception.core import CameraModel, Stage
from robot_perception.faults.file_mutations import mutated_files
from robot_perception.faults.mutation import Verdict
from robot_perception.pipeline import PerceptionPipeline, read_image
from robot_perception.viewer import (
    draw_overlay,
    encode_json,
    encode_png,
    scene_to_dict,
    to_millimeters,
    write_scene,
)

pytestmark = pytest.mark.slow
UNFINISHED = form((), picture())
# As cameras write it: turned by a quarter, and a focal length of 28 mm on film.
EXIF = bytes.fromhex(
    'ffe1003a457869660000 4d4d002a00000008 0002 0112000300000001 00060000 8769000400000001'
    '00000026 00000000 0001 a405000300000001 001c0000 00000000'
)


@pytest.fixture(scope='module')
def pipeline():
    return PerceptionPipeline.from_preset('stub')


@pytest.fixture
def process(pipeline, tmp_path):
    """Return the scene of a file as the library computes it."""

    def scene(data, hfov_deg=60.0, **options):
        path = tmp_path / 'image'
        path.write_bytes(data)
        image = read_image(path)
        camera = CameraModel.nominal(image.size_hw, hfov_deg)
        pipeline.reset()
        return pipeline.process(image, options.pop('camera', camera), **options)

    return scene


def test_scenes_are_those_that_image_writes(service, tmp_path):
    jpeg = picture('.jpg', 3)
    files = {
        'a.jpg': picture('.jpg'),
        'b.png': picture(seed=1),
        'c.webp': picture('.webp', 2),
        'd.jpg': jpeg[:2] + EXIF + jpeg[2:],
        'e.bmp': picture('.bmp', 4, (37, 53)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    program = Command(tmp_path)('image', *files, '--preset', 'stub', '-o', 'out')
    assert program.returncode == 0, program.stderr
    for name, data in files.items():
        written = (tmp_path / 'out' / f'{Path(name).stem}_scene.json').read_bytes()
        for request in ((data, {}), form((), data)):
            status, headers, body = service.request('/v1/scene', *request)
            assert (status, headers['Content-Type']) == (200, 'application/json')
            assert timeless(body) == timeless(written), name
            assert body.endswith(b'}\n')
    assert json.loads(body)['camera'] is not None


def test_the_archive_has_the_files_that_image_writes(service, process, tmp_path):
    data = picture(seed=5)
    scene = process(data)
    written = write_scene(scene, tmp_path, 'image')
    for path, headers in (
        ('/v1/scene?format=zip', {}),
        ('/v1/scene', {'Accept': 'application/zip'}),
    ):
        status, found, body = service.request(path, data, headers)
        assert (status, found['Content-Type']) == (200, 'application/zip')
        archive = zipfile.ZipFile(io.BytesIO(body))
        assert archive.testzip() is None
        names = [file.name for file in written]
        assert archive.namelist() == [*names, 'image_depth_mm.png']
        for file in written[:-1]:
            assert archive.read(file.name) == file.read_bytes(), file.name
        assert timeless(archive.read('image_scene.json')) == timeless(written[-1].read_bytes())
        packed = np.frombuffer(archive.read('image_depth_mm.png'), np.uint8)
        depth = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED)
        assert np.array_equal(depth, to_millimeters(scene.depth))


def test_overlay_and_features(service, process):
    data = picture(seed=6)
    scene = process(data)
    _, headers, body = service.request('/v1/scene', data, {'Accept': 'image/png'})
    assert headers['Content-Type'] == 'image/png'
    assert body == encode_png(draw_overlay(scene))
    _, _, body = service.request('/v1/embed', *form((), data))
    assert body == encode_json(scene_to_dict(scene)['features'])


def test_parameters_in_the_query_or_the_form(service, process, pipeline):
    data = picture(seed=7)
    config = pipeline.config.with_values({'detector.threshold': 0.9, 'detector.max_objects': 1})
    stages = frozenset((Stage.DETECTOR, Stage.DEPTH))
    expected = process(data, 75.0, stages=stages, config=config)
    fields = [('stages', 'depth,detector'), ('hfov', 75), ('detector.threshold', 0.9)]
    _, _, body = service.request('/v1/scene?detector.max_objects=1', *form(fields, data))
    assert timeless(body) == timeless(encode_json(scene_to_dict(expected)))
    assert json.loads(body)['features'] is None
    camera = CameraModel(SIZE_HW, 140.0, 141.0, 80.0, 60.0, 'plumb_bob', (0.1, 0, 0, 0))
    lens = {'distortion_model': 'plumb_bob', 'distortion': [0.1, 0, 0, 0]}
    text = json.dumps({'fx': 140, 'fy': 141, 'cx': 80, 'cy': 60} | lens)
    _, _, body = service.request('/v1/scene', *form([('camera', text)], data))
    assert timeless(body) == timeless(encode_json(scene_to_dict(process(data, camera=camera))))


@pytest.mark.parametrize(
    ('request_', 'status', 'reason'),
    [
        ((b'', {}), 400, 'missing_image'),
        (form((), None), 400, 'missing_image'),
        (form((), picture(), 'file'), 400, 'missing_image'),
        (form([('image', 'text')]), 400, 'missing_image'),
        ((b'--x\r\n', {'Content-Type': 'multipart/form-data; boundary=y'}), 400, None),
        ((picture(), {'Content-Type': 'multipart/form-data'}), 400, 'broken_form'),
        ((UNFINISHED[0][:-6], UNFINISHED[1]), 400, 'missing_image'),
        (form([(f'f{n}', 1) for n in range(70)], picture()), 400, 'broken_form'),
        (form([('camera', 'x' * 20_000)], picture()), 400, 'broken_form'),
        ((b'%PDF-1.7' + bytes(50), {}), 415, 'unknown_format'),
        ((picture()[:500], {}), 400, 'data'),
        ((bytes(9 * 2**20), {}), 413, 'body_too_large'),
        (form([('detector.threshold', 2)], picture()), 422, 'out_of_range'),
        (form([('detector.classes', 'unicorn')], picture()), 422, 'unknown_class'),
        (form([('detector.prompts', 'cup')], picture()), 422, 'no_prompted_detector'),
        (form([('hfov', 5), ('hfov', 6)], picture()), 422, 'given_twice'),
        ((picture(), {'Accept': 'text/html'}), 406, 'not_acceptable'),
    ],
)
def test_refusals_name_their_reason(service, request_, status, reason):
    got = service.problem('/v1/scene', *request_)
    assert got == (status, reason or got[1])


def test_paths_and_methods(service):
    assert service.problem('/v2/scene') == (404, 'not_found')
    assert service.problem('/v1/scene') == (405, 'wrong_method')
    assert service.problem('/docs') == (404, 'not_found')
    assert service.problem('/v1/scene?hfov=0', picture()) == (422, 'out_of_range')


def test_an_image_with_too_many_pixels_is_refused(service):
    huge = np.zeros((6000, 6000), np.uint8)
    body = cv2.imencode('.png', huge)[1].tobytes()
    assert service.problem('/v1/scene', body) == (413, 'too_large')


def test_damaged_and_hostile_files_cost_a_refusal(service):
    statuses = []
    for mutated in mutated_files(54, SIZE_HW, seed=17):
        data, _ = mutated.subject
        status, headers, _ = service.request('/v1/scene?stages=detector', data)
        statuses.append(status)
        assert status in {200, 400, 413, 415}, (mutated.name, status)
        if mutated.verdict is Verdict.REFUSED:
            assert status != 200, mutated.name
        if status != 200:
            assert headers['Content-Type'] == 'application/problem+json'
    assert len(set(statuses)) >= 3
    assert service.metric('robot_perception_worker_restarts') == 0


def test_bytes_that_are_no_http_do_not_matter(service):
    for data in (
        b'\0' * 100,
        b'GET / HTTP/1.1\r\n' + b'a: b\r\n' * 9000,
        b'POST /v1/scene HTTP/1.1\r\n',
    ):
        with socket.create_connection(('127.0.0.1', service.port), 10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(100)
    assert service.request('/healthz')[0] == 200


def waiting(service):
    """Return how many requests wait, besides the one that the worker computes."""
    return service.metric('robot_perception_waiting_requests')


@contextmanager
def stopped_worker(service, count):
    """Stop the worker in the first of some requests; yield its process and their futures.

    It continues at the end of the block.
    """
    (worker,) = find_networks(service.program.pid)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        os.kill(worker, signal.SIGSTOP)
        try:
            futures = [pool.submit(service.request, '/v1/scene', picture()) for _ in range(count)]
            wait_for(lambda: service.metric('robot_perception_computing_requests') == 1)
            wait_for(lambda: waiting(service) == count - 1)
            yield worker, futures
        finally:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)


def test_overload_is_answered_at_once(service):
    times, probes = [], []
    with stopped_worker(service, 1 + QUEUE) as (_, accepted):
        for _ in range(50):
            start_s = time.monotonic()
            status, headers, _ = service.request('/v1/scene', picture())
            times.append(time.monotonic() - start_s)
            assert status == 429
            assert int(headers['Retry-After']) >= 1
            start_s = time.monotonic()
            service.request('/healthz')
            probes.append(time.monotonic() - start_s)
    # Other programs slow both down.
    assert np.median(times) < 5 * np.median(probes)
    assert [one.result()[0] for one in accepted] == [200] * (1 + QUEUE)


def test_a_request_leaves_the_queue_with_its_client_or_at_its_deadline(service):
    with stopped_worker(service, 1):
        gone = service.connect()
        gone.request('POST', '/v1/scene', picture())
        wait_for(lambda: waiting(service) == 1)
        gone.close()
        wait_for(lambda: waiting(service) == 0)
        late = form([('deadline_s', '0.2')], picture())
        assert service.problem('/v1/scene', *late) == (504, 'deadline')
        assert waiting(service) == 0
    assert b'path="/v1/scene",status="499"' in service.request('/metrics')[2]


def test_a_worker_that_ends_is_replaced(service):
    before = service.metric('robot_perception_worker_restarts')
    with stopped_worker(service, 2) as (worker, requests):
        os.kill(worker, signal.SIGKILL)
        # Either may have come first. What waited is computed by the new one.
        kept, lost = sorted((one.result() for one in requests), key=lambda answer: answer[0])
        assert kept[0] == 200
        status, headers, body = lost
        assert (status, json.loads(body)['reason']) == (503, 'worker_ended')
        assert headers['Retry-After'] == '1'
    assert service.metric('robot_perception_worker_restarts') == before + 1
    (worker,) = find_networks(service.program.pid)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: service.request('/readyz')[0] == 503)
    wait_for(lambda: service.request('/readyz')[0] == 200)
    assert service.request('/v1/scene', picture())[0] == 200


def test_metrics_count_requests_and_stages(service):
    name = 'robot_perception_requests_total{path="/v1/embed",status="200"}'
    service.request('/v1/embed', picture())
    before = service.metric(name)
    service.request('/v1/embed', picture())
    assert service.metric(name) == before + 1
    assert service.metric('robot_perception_stage_seconds_count{stage="features"}') >= 2
    service.request(f'/{"x" * 50}')
    assert service.metric('robot_perception_requests_total{path="other",status="404"}') >= 1


def test_openapi_describes_what_is_answered(service):
    document = json.loads(service.request('/openapi.json')[2])
    scene = document['paths']['/v1/scene']['post']
    names = [one['name'] for one in scene['parameters']]
    assert {'stages', 'format', 'hfov', 'camera', 'deadline_s', 'detector.threshold'} <= set(names)
    assert set(scene['requestBody']['content']) >= {'multipart/form-data', 'image/jpeg'}
    assert set(scene['responses']) >= {'200', '413', '415', '422', '429', '503', '504'}
    example = scene['responses']['200']['content']['application/json']['example']
    answer = json.loads(service.request('/v1/scene', picture())[2])
    assert example.keys() <= answer.keys()
    assert example['objects'][0].keys() <= answer['objects'][0].keys()


def test_the_lines_of_the_page_run_as_pasted(service, tmp_path):
    if shutil.which('curl') is None:
        pytest.skip('needs curl')
    (tmp_path / 'photo.jpg').write_bytes(picture('.jpg'))
    text = (Path(__file__).parents[2] / 'docs' / 'serve.md').read_text(encoding='utf-8')
    lines = re.findall(r'^curl .*$', text, re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        command = line.replace('localhost:8000', service.address) + " -sS -w '%{http_code}'"
        program = subprocess.run(
            ['bash', '-c', command], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert (program.stderr, program.stdout[-3:]) == ('', '200'), line
    assert zipfile.is_zipfile(tmp_path / 'scene.zip')
    assert cv2.imread(str(tmp_path / 'overlay.png')).shape == (*SIZE_HW, 3)


def test_sigterm_lets_requests_finish(tmp_path):
    service = Service(Command(tmp_path), '--preset', 'stub')
    with stopped_worker(service, 1) as (_, (last,)):
        service.program.send_signal(signal.SIGTERM)
        with suppress(OSError):
            while service.request('/healthz'):
                time.sleep(0.05)
    assert last.result()[0] == 200
    assert service.end() == 0


@pytest.mark.parametrize(
    ('arguments', 'code', 'words'),
    [
        (('--preset', 'robot'), 1, 'models pull'),
        (('--preset', 'stub', '--host', '203.0.113.1'), 1, '--host'),
        (('--preset', 'stub', '--set', 'detector.classes=unicorn'), 2, 'unicorn'),
    ],
)
def test_a_service_that_cannot_start_ends_with_the_reason(tmp_path, arguments, code, words):
    program = Command(tmp_path)('serve', '--port', 0, *arguments)
    assert program.returncode == code, program.stderr
    assert words in program.stderr.splitlines()[-1]
