"""Parameters of requests: names, types and ranges are those of the node."""

import pytest

pytest.importorskip('fastapi')

from reasons import raises

from robot_perception.core import ConfigError, Stage
from robot_perception.pipeline import PerceptionConfig
from robot_perception.server.job import Format
from robot_perception.server.problem import ProblemError
from robot_perception.server.request_parameters import (
    changeable_parameters,
    read_ask_parameters,
    read_parameters,
)

CONFIG = PerceptionConfig.from_preset('stub')
CAMERA = '{"fx": 525, "fy": 520.5, "cx": 319.5, "cy": 239.5%s}'


def read(accept='', config=CONFIG, **texts):
    pairs = [(name.replace('__', '.'), text) for name, text in texts.items()]
    return read_parameters(pairs, accept, config, 30.0)


def test_nothing_given_means_all_stages_as_json():
    wanted = read()
    assert wanted.stages == {stage for stage in Stage if CONFIG.stage(stage).enabled}
    assert len(wanted.stages) >= 4
    assert (wanted.format, wanted.seconds, wanted.values) == (Format.JSON, 30.0, {})
    assert wanted.hfov_deg is wanted.camera is None


def test_values_have_their_types():
    wanted = read(
        stages='detector,depth', hfov='70.5', deadline_s='2',
        detector__threshold='0.25', detector__max_objects='3', detector__classes='cup, bowl',
    )  # fmt: skip
    assert wanted.stages == {Stage.DETECTOR, Stage.DEPTH}
    assert (wanted.hfov_deg, wanted.seconds) == (70.5, 2.0)
    assert wanted.values == {
        'detector.threshold': 0.25,
        'detector.max_objects': 3,
        'detector.classes': 'cup, bowl',
    }


def test_a_camera_has_the_form_of_scene_json():
    camera = read(camera=CAMERA % '').camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (525, 520.5, 319.5, 239.5)
    more = ', "distortion_model": "plumb_bob", "distortion": [0.1, -0.2, 0, 0, 0]'
    assert read(camera=CAMERA % more).camera.distortion == (0.1, -0.2, 0, 0, 0)


@pytest.mark.parametrize(
    ('texts', 'reason'),
    [
        ({'stages': 'detector,smell'}, 'unknown_stage'),
        ({'stages': ','}, 'unknown_stage'),
        ({'format': 'xml'}, 'unknown_value'),
        ({'format': 'features'}, 'unknown_value'),
        ({'hfov': '180'}, 'out_of_range'),
        ({'hfov': 'nan'}, 'wrong_type'),
        ({'hfov': 'wide'}, 'wrong_type'),
        ({'deadline_s': '0'}, 'out_of_range'),
        ({'deadline_s': '31'}, 'out_of_range'),
        ({'deadline_s': '-inf'}, 'wrong_type'),
        ({'camera': '525,525,320,240'}, 'wrong_format'),
        ({'camera': '[525, 525, 320, 240]'}, 'wrong_format'),
        ({'camera': '{"fx": 525}'}, 'wrong_format'),
        ({'camera': '[' * 20_000}, 'wrong_format'),
        ({'camera': CAMERA % ', "distortion": 5'}, 'wrong_format'),
        ({'camera': CAMERA % ', "distortion_model": 5'}, 'wrong_format'),
        ({'camera': CAMERA % ', "distortion_model": "fov"'}, 'distortion_model'),
        ({'camera': CAMERA.replace('525', '-1') % ''}, 'focal_length'),
        ({'camera': CAMERA.replace('525', 'NaN') % ''}, 'focal_length'),
        ({'camera': CAMERA % '', 'hfov': '60'}, 'conflicting_parameters'),
        ({'detector__threshold': 'half'}, 'wrong_type'),
        ({'detector__max_objects': '2.5'}, 'wrong_type'),
        ({'detector__max_objects': '21'}, 'out_of_range'),
        ({'detector__treshold': '0.5'}, 'unknown_parameter'),
        ({'detector__model': 'x'}, 'fixed_parameter'),
        ({'camera__info_url': '/etc/passwd'}, 'fixed_parameter'),
        ({'input__max_pixels': '1000000000'}, 'fixed_parameter'),
        ({'parallel': 'true'}, 'fixed_parameter'),
    ],
)
def test_what_is_wrong_is_refused(texts, reason):
    with raises(ProblemError, reason) as caught:
        read(**texts)
    assert caught.value.status == 422


def test_ranges_are_those_of_the_node():
    with raises(ConfigError, 'out_of_range'):
        read(detector__threshold='1.5')


def test_a_name_is_given_once():
    with raises(ProblemError, 'given_twice'):
        read_parameters([('hfov', '60'), ('hfov', '70')], '', CONFIG, 30.0)


def test_a_stage_that_the_service_lacks_is_refused():
    config = CONFIG.with_values({'segmenter.enabled': False})
    assert Stage.SEGMENTER not in read(config=config).stages
    with raises(ProblemError, 'unknown_stage'):
        read(config=config, stages='segmenter')


def test_the_nearest_name_is_named():
    with raises(ProblemError, 'unknown_parameter', match=r'nearest: detector\.threshold'):
        read(detector__treshold='0.5')


@pytest.mark.parametrize(
    ('accept', 'form'),
    [
        ('*/*', Format.JSON),
        ('text/html, application/zip;q=0.9', Format.ZIP),
        ('IMAGE/PNG', Format.PNG),
        ('application/json', Format.JSON),
    ],
)
def test_the_client_accepts_a_format(accept, form):
    assert read(accept).format is form
    assert read(accept, format='zip').format is Format.ZIP


def test_no_acceptable_format():
    with raises(ProblemError, 'not_acceptable') as caught:
        read('text/html')
    assert caught.value.status == 406


def test_a_request_changes_only_what_also_changes_while_the_node_runs():
    changeable = list(changeable_parameters(CONFIG))
    assert all(item.constraint.live for item in changeable)
    (objects,) = (one for one in changeable if one.name == 'detector.max_objects')
    assert objects.constraint.limits == (1, CONFIG.detector.max_objects)
    assert {'detector.threshold', 'detector.classes'} <= {item.name for item in changeable}


def test_a_question_with_its_region():
    pairs = [('question', 'what?'), ('region', '8,4.5,32,24'), ('deadline_s', '2')]
    wanted = read_ask_parameters(pairs, 30.0)
    assert (wanted.question, wanted.seconds) == ('what?', 2.0)
    assert wanted.region_xyxy == (8, 4.5, 40, 28.5)
    assert read_ask_parameters([], 30.0).region_xyxy is None


@pytest.mark.parametrize(
    ('pairs', 'reason'),
    [
        ([('question', 'a'), ('question', 'b')], 'given_twice'),
        ([('region', '1,2,3')], 'wrong_format'),
        ([('region', '1,2,3,inf')], 'wrong_type'),
        ([('deadline_s', '31')], 'out_of_range'),
        ([('stages', 'detector')], 'unknown_parameter'),
    ],
)
def test_parameters_that_no_question_has(pairs, reason):
    with raises(ProblemError, reason):
        read_ask_parameters(pairs, 30.0)
