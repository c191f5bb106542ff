"""Token and limits of the service."""

import pytest

pytest.importorskip('fastapi')

from reasons import raises

from robot_perception.core import ConfigError
from robot_perception.server import read_token, ServerSettings

LONG = 'x' * 16


def test_the_token_comes_from_the_file_or_the_environment(tmp_path):
    path = tmp_path / 'token.txt'
    path.write_text(f'{LONG}\n', 'ascii')
    assert read_token(path, {'ROBOT_PERCEPTION_TOKEN': 'other'}) == LONG
    assert read_token(None, {'ROBOT_PERCEPTION_TOKEN': LONG}) == LONG
    assert read_token(None, {}) == ''


@pytest.mark.parametrize('text', ['', 'short', 'x' * 20 + ' y', 'x' * 20 + '\ny'])
def test_a_token_that_is_easy_to_guess_or_no_header_is_refused(tmp_path, text):
    path = tmp_path / 'token.txt'
    path.write_text(text, 'ascii')
    with raises(ConfigError, 'bad_token'):
        read_token(path, {})


def test_a_token_file_that_is_missing_does_not_open_the_service(tmp_path):
    with raises(ConfigError, 'missing_file'):
        read_token(tmp_path / 'none', {'ROBOT_PERCEPTION_TOKEN': LONG})
    (tmp_path / 'bytes').write_bytes(bytes(range(128, 160)))
    with raises(ConfigError, 'missing_file'):
        read_token(tmp_path / 'bytes', {})


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'max_waiting': 0}, 'out_of_range'),
        ({'max_seconds': 0.0}, 'out_of_range'),
        ({'max_seconds': float('nan')}, 'out_of_range'),
        ({'max_body_mb': 5000}, 'out_of_range'),
        ({'root_path': 'perception'}, 'wrong_format'),
        ({'root_path': '/perception/'}, 'wrong_format'),
        ({'root_path': '/'}, 'wrong_format'),
    ],
)
def test_limits_are_checked(values, reason):
    with raises(ConfigError, reason):
        ServerSettings(**values)
