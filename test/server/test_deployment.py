"""The service on a local Ray cluster: answers, limits and health are those of one process."""

import concurrent.futures
import json
import os
from pathlib import Path
import re
import signal
import socket

import pytest

pytest.importorskip('fastapi')
pytest.importorskip('ray.serve')

from http_service import Client, find_networks, form, picture, timeless, wait_for
from processes import list_processes
from pydantic import ValidationError
import ray
from ray import serve
from ray.serve.schema import ServeDeploySchema
from reasons import raises
import yaml

from robot_perception.core import CameraModel, ConfigError
from robot_perception.pipeline import PerceptionPipeline, read_image
from robot_perception.server import deployment, ServerSettings
from robot_perception.server.deployment import Arguments, build
from robot_perception.viewer import encode_json, scene_to_dict

ROOT = Path(__file__).parents[2]
TOKEN = 'a-token-of-sixteen-letters'  # noqa: S105 - of a test
AUTHORIZATION = {'Authorization': f'Bearer {TOKEN}'}


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


def find_replica():
    """Return the id of the process of the replica, on the cluster that this process started."""
    processes = list(list_processes())
    parents = {one.number: one.parent for one in processes}
    replicas = [one.number for one in processes if one.command.startswith('ray::ServeReplica:')]

    def is_ours(process):
        return process == os.getpid() or (process in parents and is_ours(parents[process]))

    (replica,) = filter(is_ours, replicas)
    return replica


def start_cluster():
    options = {'include_dashboard': False, 'num_cpus': 1}
    options |= {'logging_level': 'ERROR', 'log_to_driver': False}
    try:
        ray.init(**options)
    except Exception:  # noqa: BLE001 - Ray raises plain ones
        # It waits 30 s for its processes, which a loaded machine may exceed.
        ray.shutdown()
        ray.init(**options)


def start_proxy():
    """Start Ray Serve on a free port and return it."""
    for _ in range(5):
        port = free_port()
        try:
            serve.start(http_options={'port': port})
        except RuntimeError as error:
            if 'Failed to bind' not in str(error):
                raise
            # Another program took it meanwhile.
            serve.shutdown()
        else:
            return port
    raise AssertionError('ports are taken again and again')


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    """A client of one replica with stub networks, whose queue holds one request."""
    token_file = tmp_path_factory.mktemp('service') / 'token.txt'
    token_file.write_text(f'{TOKEN}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('RAY_USAGE_STATS_ENABLED', '0')
        # A loaded machine needs longer than 5 s.
        patch.setenv('RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S', '120')
        try:
            start_cluster()
            port = start_proxy()
            arguments = Arguments(preset='stub', token_file=token_file, queue=1, max_body=1)
            serve.run(build(arguments), route_prefix='/perception')
            (networks,) = find_networks(find_replica())
            yield Client(port, '/perception', AUTHORIZATION)
            serve.shutdown()
        finally:
            ray.shutdown()
    wait_for(lambda: not Path(f'/proc/{networks}').exists())


@pytest.mark.slow
def test_a_replica_answers_once_it_has_networks(service):
    status, _, body = service.request('/readyz')
    assert (status, json.loads(body)['ready_workers']) == (200, 1)
    (application,) = serve.status().applications.values()
    assert application.status == 'RUNNING'


@pytest.mark.slow
def test_scenes_of_a_replica_are_those_of_the_library(service, tmp_path):
    path = tmp_path / 'image.png'
    path.write_bytes(picture())
    image = read_image(path)
    pipeline = PerceptionPipeline.from_preset('stub')
    scene = pipeline.process(image, CameraModel.nominal(image.size_hw, 60.0))
    expected = timeless(encode_json(scene_to_dict(scene)))
    for request in ((path.read_bytes(), {}), form((), path.read_bytes())):
        status, headers, body = service.request('/v1/scene', *request)
        assert (status, headers['Content-Type']) == (200, 'application/json')
        assert timeless(body) == expected
        assert len(headers.get_all('X-Request-ID')) == 1
    assert b'v1/scene' in service.request('/')[2]
    assert service.request('')[0] == 307


@pytest.mark.slow
def test_a_replica_refuses_like_one_process(service):
    scene = '/v1/scene'
    wrong = {'Authorization': 'Bearer no'}
    assert service.problem(scene, picture(), wrong) == (401, 'wrong_token')
    assert service.problem(scene, bytes(2 * 2**20)) == (413, 'body_too_large')
    assert service.problem(scene, b'%PDF-1.7') == (415, 'unknown_format')
    assert service.problem(f'{scene}?hfov=nan', picture()) == (422, 'wrong_type')
    assert service.problem(scene) == (405, 'wrong_method')


@pytest.mark.slow
def test_a_replica_with_a_full_queue_answers_429(service):
    (networks,) = find_networks(find_replica())

    def states():
        names = ('computing', 'waiting')
        return [service.metric(f'robot_perception_{name}_requests') for name in names]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        os.kill(networks, signal.SIGSTOP)
        try:
            accepted = []
            for state in ([1, 0], [1, 1]):
                accepted.append(pool.submit(service.request, '/v1/scene', picture()))
                wait_for(lambda state=state: states() == state)
            status, headers, _ = service.request('/v1/scene', picture())
            assert status == 429
            assert int(headers['Retry-After']) >= 1
        finally:
            os.kill(networks, signal.SIGCONT)
        assert [one.result()[0] for one in accepted] == [200, 200]


def test_the_example_has_the_form_of_ray_serve():
    text = (ROOT / 'examples' / 'serve' / 'ray_serve.yaml').read_text(encoding='utf-8')
    (application,) = ServeDeploySchema.model_validate(yaml.safe_load(text)).applications
    assert application.import_path == f'{deployment.__name__}:{build.__name__}'
    assert [one.name for one in application.deployments] == [deployment.Perception.__name__]
    arguments = Arguments.model_validate(application.args)
    (config,) = arguments.configs()
    assert config.detector.threshold == 0.6


def test_arguments_are_those_of_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv('ROBOT_PERCEPTION_TOKEN', TOKEN)
    assert Arguments().settings() == ServerSettings(TOKEN)
    # "serve run" passes texts.
    texts = {'preset': 'stub', 'device': 'cpu,cuda:1', 'queue': '3', 'deadline': '5'}
    arguments = Arguments.model_validate(texts)
    assert arguments.settings() == ServerSettings(TOKEN, 3, 5.0)
    assert [config.device for config in arguments.configs()] == ['cpu', 'cuda:1']
    file = tmp_path / 'robot.yaml'
    file.write_text('perception:\n  ros__parameters: {preset: stub, detector.threshold: 0.7}\n')
    arguments = Arguments(config=file, parameters={'detector.max_objects': 7})
    (config,) = arguments.configs()
    assert (config.detector.threshold, config.detector.max_objects) == (0.7, 7)
    assert TOKEN not in repr(arguments.settings())


def test_arguments_that_are_wrong_are_named(tmp_path):
    with pytest.raises(ValidationError, match='threshold'):
        Arguments.model_validate({'threshold': 0.5})
    with raises(ConfigError, 'conflicting_parameters'):
        Arguments(preset='stub', config=tmp_path).configs()
    with raises(ConfigError, 'unknown_name'):
        build(Arguments(preset='huge'))
    with raises(ConfigError, 'out_of_range'):
        build(Arguments(preset='stub', queue=0))
    with raises(ConfigError, 'out_of_range', match='threshold'):
        build(Arguments(preset='stub', parameters={'detector.threshold': 2.0}))


def test_the_page_lists_the_arguments():
    text = (ROOT / 'docs' / 'serve.md').read_text(encoding='utf-8')
    names = re.findall(r'^\| `(\w+)` \| `--', text, re.MULTILINE)
    assert names == list(Arguments.model_fields)
