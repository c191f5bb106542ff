"""`robot-perception doctor`: the machine, the flags, and the report."""

import argparse
from dataclasses import replace
import json
from pathlib import Path
import re
import sys

import pytest
from reasons import raises

from robot_perception import models
from robot_perception.cli import doctor, main
from robot_perception.cli.doctor_machine import (
    judge_machine,
    MachineFacts,
    MEBIBYTE,
    MIN_PYTHON,
    SUPPORTED,
)
from robot_perception.cli.machine_check import examine_machine
from robot_perception.core import ConfigError
from robot_perception.nodes import Examination
from robot_perception.pipeline import PerceptionConfig

GOOD = MachineFacts(
    python=(3, 12, 3),
    versions={
        'numpy': '1.26.4',
        'opencv-python-headless': '4.12.0.88',
        'torch': '2.6.0+cpu',
        'transformers': '5.0.0',
        'safetensors': '0.5.0rc1',
    },
    shared_bytes=8192 * MEBIBYTE,
    shared_free_bytes=8000 * MEBIBYTE,
    cache='/models',
    cache_free_bytes=10**11,
)


def judge(**changes):
    return [cause.reason for cause in judge_machine(replace(GOOD, **changes))]


def test_a_good_machine():
    assert judge() == []


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'python': (3, 9, 18)}, 'python_version'),
        ({'versions': {'torch': None}}, 'missing_library'),
        ({'versions': {'torch': '2.5.1'}}, 'library_version'),
        ({'versions': {'transformers': '4.57.1'}}, 'library_version'),
        ({'versions': {'transformers': '6.0.0'}}, 'library_version'),
        ({'has_nvidia': True, 'torch_has_cuda': False, 'torch_uses_gpu': False}, 'gpu_unused'),
        ({'has_nvidia': True, 'torch_has_cuda': True, 'torch_uses_gpu': False}, 'gpu_unused'),
        ({'shared_free_bytes': 64 * MEBIBYTE}, 'small_shared_memory'),
        ({'leftovers': ('fastdds_1',)}, 'shared_memory_leftovers'),
        ({'cache_free_bytes': 10**8}, 'disk_space'),
        ({'cache_free_bytes': 10**8, 'missing_bytes': 5 * 10**8}, 'disk_full'),
        ({'open_files': 256}, 'open_files'),
        ({'profile': '/gone.xml'}, 'missing_profile'),
    ],
)
def test_what_is_wrong_with_a_machine(changes, reason):
    assert judge(**changes) == [reason]


def test_supported_versions_are_those_of_the_package():
    setup = (Path(__file__).parents[2] / 'setup.py').read_text('utf-8')
    for library, (low, high) in SUPPORTED.items():
        (wanted,) = re.findall(rf"'{library}(>=[^';]+)'", setup)
        assert wanted == f'>={low}' + (f',<{high}' if high else '')
    assert f"python_requires='>={MIN_PYTHON[0]}.{MIN_PYTHON[1]}'" in setup


def test_this_machine_has_what_the_stub_needs():
    examination = examine_machine(PerceptionConfig.from_preset('stub'))
    assert {cause.reason for cause in examination.causes} <= {
        *('small_shared_memory', 'shared_memory_leftovers', 'disk_space', 'open_files'),
    }
    assert examination.unchecked == {}
    assert examination.found['Python'].startswith('.'.join(map(str, sys.version_info[:3])))


def test_missing_models_are_named_with_the_command(tmp_path, monkeypatch):
    pytest.importorskip('transformers')
    from huggingface_hub import constants

    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    examination = examine_machine(PerceptionConfig.from_preset('robot'))
    missing = [cause for cause in examination.causes if cause.reason == 'missing_model']
    assert len(missing) == 4
    assert missing[0].command == 'robot-perception models pull facebook/dinov2-small'
    given = PerceptionConfig.from_preset('stub', {'detector.model': '/no/such/folder'})
    (cause,) = [one for one in examine_machine(given).causes if one.reason == 'missing_model']
    assert (cause.detail, cause.command) == ('unknown_model', '')


def test_a_torch_that_cannot_be_imported_is_a_cause(monkeypatch):
    pytest.importorskip('torch')

    def fail():
        raise OSError('libc10.so: cannot open shared object file')

    monkeypatch.setattr(models, 'describe_cuda', fail)
    examination = examine_machine(PerceptionConfig.from_preset('demo'))
    (cause,) = [one for one in examination.causes if one.reason == 'broken_library']
    assert cause.subject == 'torch'
    assert 'libc10.so' in cause.evidence
    assert 'models' in examination.unchecked


def test_without_ros_the_machine_is_checked(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    monkeypatch.setattr(doctor, 'examine_machine', lambda _: Examination())
    assert main.main(['doctor', '--preset', 'stub']) == 0
    printed = capsys.readouterr().out
    row = '  ROS graph               expected ROS 2, got a Python without rclpy'
    assert f'not checked\n{row}' in printed
    assert printed.endswith('nothing wrong was found\n')


def test_report_and_json(monkeypatch, capsys):
    causes = tuple(judge_machine(replace(GOOD, python=(3, 9, 1), open_files=256)))
    monkeypatch.setattr(doctor, 'examine_machine', lambda _: Examination(causes[::-1]))
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    assert main.main(['doctor', '--preset', 'stub']) == 1
    printed = capsys.readouterr().out
    first, second = printed.index(' 1. Python: python_version'), printed.index(' 2. ulimit -n')
    assert printed.index('stops results: 1') < first < printed.index('warnings: 1') < second
    assert '    $ ulimit -n 1024\n' in printed
    assert main.main(['doctor', '--preset', 'stub', '--json']) == 1
    report = json.loads(capsys.readouterr().out)
    assert [cause['reason'] for cause in report['causes']] == ['python_version', 'open_files']
    assert set(report) == {'causes', 'unchecked', 'found', 'exit_code'}


@pytest.mark.parametrize('text', ['image', 'image:=', 'picture:=/a', ':=/a'])
def test_bad_topics(text):
    arguments = parse('--topic', text)
    with raises(ConfigError, 'wrong_format', 'expected INPUT:=TOPIC'):
        doctor.run(arguments)


@pytest.mark.parametrize('seconds', ['0', '-1', '601', 'nan'])
def test_seconds_out_of_range(seconds):
    with raises(ConfigError, 'out_of_range'):
        doctor.run(parse('--seconds', seconds))


def parse(*arguments):

    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers())
    return parser.parse_args(['doctor', *arguments])
