"""Where results may be written."""

import pytest
from reasons import raises

from robot_perception.cli.main import main
from robot_perception.cli.output_paths import check_apart
from robot_perception.core import ConfigError


@pytest.mark.parametrize('output', ['bag', 'bag/sub', 'bag/sub/../sub', 'link'])
def test_an_output_is_apart_from_its_inputs(tmp_path, output):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'link').symlink_to('bag')
    with raises(ConfigError, 'overlapping_paths', 'expected a folder apart from the inputs'):
        check_apart(tmp_path / output, [None, '0', tmp_path / 'bag'])
    check_apart(tmp_path, [tmp_path / 'bag'])
    check_apart(tmp_path / 'bag2', [str(tmp_path / 'bag')])


def test_results_are_not_written_into_a_bag(tmp_path, capsys):
    (tmp_path / 'metadata.yaml').touch()
    inputs = ('--predictions', str(tmp_path / 'a.mcap'), '--truth', str(tmp_path / 'b.mcap'))
    assert main(['evaluate', *inputs, '-o', str(tmp_path)]) == 2
    assert f'got the bag {tmp_path}' in capsys.readouterr().err
