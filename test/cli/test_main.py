"""The command ``robot-perception``: verbs, help and exit codes."""

import argparse
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest

import robot_perception
from robot_perception.cli import main
from robot_perception.cli.command import add_command
from robot_perception.core.errors import (
    ConfigError,
    ModelError,
    OutputError,
    PerceptionError,
    SourceError,
    WeightsMissingError,
)

VERBS = ('demo', 'image', 'replay', 'models', 'bench', 'world', 'evaluate', 'doctor')


def test_help_names_every_verb(command):
    done = command('--help')
    assert (done.returncode, done.stderr) == (0, '')
    for verb in VERBS:
        assert f'\n    {verb} ' in done.stdout


def test_version(command):
    done = command('--version')
    assert (done.returncode, done.stdout) == (
        0,
        f'robot-perception {robot_perception.__version__}\n',
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'the following arguments are required: VERB'),
        (['fly'], "invalid choice: 'fly'"),
        (['imag', 'a.png'], "invalid choice: 'imag' (nearest: image)"),
        (['--fly'], 'the following arguments are required: VERB'),
        (['image'], 'the following arguments are required: INPUT'),
        (['models'], 'the following arguments are required: ACTION'),
        (['bench'], 'the following arguments are required: SUBJECT'),
        (['image', 'a.png', '--preset', 'rowboat'], "invalid choice: 'rowboat'"),
        (['image', 'a.png', '--preset', 'stub', '--config', 'a.yaml'], 'not allowed with'),
        (['demo', '--seconds', 'long'], "invalid float value: 'long'"),
    ],
)
def test_bad_arguments(capsys, arguments, message):
    with pytest.raises(SystemExit, match='2'):
        main.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments',
    [*([verb] for verb in VERBS), ['models', 'list'], ['models', 'pull'], ['bench', 'node']],
    ids=' '.join,
)
def test_every_verb_has_help(capsys, arguments):
    with pytest.raises(SystemExit, match='0'):
        main.main([*arguments, '--help'])
    printed = capsys.readouterr().out
    assert printed.startswith(f'usage: robot-perception {" ".join(arguments)} ')


@pytest.mark.parametrize('verb', ['image', 'demo', 'bench node'])
def test_verbs_that_run_networks_share_their_flags(capsys, verb):
    with pytest.raises(SystemExit, match='0'):
        main.main([*verb.split(), '--help'])
    printed = capsys.readouterr().out
    for flag in ('--preset', '--config FILE', '--device', '--set NAME=VALUE'):
        assert flag in printed


@pytest.fixture
def verb(monkeypatch):
    """A verb that ends with a given outcome."""

    def end(outcome):
        def run(_):
            if isinstance(outcome, int):
                return outcome
            raise outcome

        def add_parser(subparsers):
            add_command(subparsers, 'try', run, help='tries')

        monkeypatch.setitem(
            sys.modules, 'robot_perception.cli.try', argparse.Namespace(add_parser=add_parser)
        )
        monkeypatch.setattr(main, '_VERBS', ('try',))
        return main.main(['try'])

    return end


@pytest.mark.parametrize(
    ('outcome', 'code'),
    [
        (0, 0),
        (3, 3),
        (ConfigError('odd', 'device: odd'), 2),
        (PerceptionError('odd', 'odd'), 1),
        (ModelError('odd', 'odd'), 1),
        (WeightsMissingError('odd', 'odd'), 1),
        (SourceError('odd', 'odd'), 1),
        (OutputError('odd', 'odd'), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_exit_codes(verb, capsys, outcome, code):
    assert verb(outcome) == code
    printed = capsys.readouterr()
    assert printed.out == ''
    expected = '' if isinstance(outcome, int | KeyboardInterrupt) else f'{outcome}\n'
    assert printed.err == (expected and f'robot-perception try: {expected}')


def test_names_cannot_control_the_terminal(verb, capsys):
    assert verb(SourceError('odd', 'a\x1b[31m\x9b\r.png: odd\ntwo lines')) == 1
    assert (
        capsys.readouterr().err
        == 'robot-perception try: a\\x1b[31m\\x9b\\x0d.png: odd\ntwo lines\n'
    )


def test_a_verb_is_imported_when_it_is_called():
    code = (
        'import sys; from robot_perception.cli.main import main\n'
        'try: main(["compare", "--help"])\n'
        'except SystemExit: pass\n'
        'verbs = {"demo", "bag", "view", "export", "doctor", "models"}\n'
        'assert not {f"robot_perception.cli.{verb}" for verb in verbs} & set(sys.modules)\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL)


def test_it_runs_as_a_module():
    words = [sys.executable, '-m', 'robot_perception', '--version']
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout == f'robot-perception {robot_perception.__version__}\n'


def test_a_reader_of_the_output_may_end_first(command):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, 'w') as pipe:
        done = subprocess.run(
            [*command.program, 'models', 'list'],
            env=command.environment,
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, '')


def test_other_exceptions_propagate(verb):
    with pytest.raises(ZeroDivisionError):
        verb(ZeroDivisionError())


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM])
def test_interrupted(command, sent):
    """A recording that would take minutes, once its first file is there."""
    program = command.start('world', 'record', 'scene', '--frames', '100000', '--size', '64x48')
    while not any(command.folder.glob('*scene*')):
        assert program.poll() is None
        time.sleep(0.05)
    program.send_signal(sent)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 130
    assert 'Traceback' not in errors
    assert not any(command.folder.glob('*scene*'))


def test_flags_are_parsed_without_ros_and_torch(command):
    blocked = command.folder / 'sitecustomize.py'
    names = ('rclpy', 'torch', 'transformers', 'open3d')
    blocked.write_text(f'import sys\nsys.modules.update(dict.fromkeys({names!r}))\n')
    path = os.pathsep.join([str(command.folder), os.environ.get('PYTHONPATH', '')])
    done = command('--version', PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize(
    ('module', 'library'), [('numpy', 'numpy'), ('yaml', 'PyYAML'), ('tqdm', 'tqdm')]
)
def test_a_missing_library_is_named_with_the_command(command, module, library):
    (command.folder / 'sitecustomize.py').write_text(
        'import importlib.abc, sys\n'
        'class Missing(importlib.abc.MetaPathFinder):\n'
        '    def find_spec(self, name, path, target=None):\n'
        f'        if name == {module!r}:\n'
        '            raise ModuleNotFoundError(f"No module named {name!r}", name=name)\n'
        'sys.meta_path.insert(0, Missing())\n'
    )
    path = os.pathsep.join([str(command.folder), os.environ.get('PYTHONPATH', '')])
    done = command('doctor', PYTHONPATH=path)
    assert done.returncode == 1
    expected = f"robot-perception: No module named '{module}'. Install it: pip install {library}"
    assert done.stderr == f'{expected}\n'


@pytest.mark.parametrize(
    ('typed', 'expected'),
    [
        ('robot-perception eva', ['evaluate']),
        ('robot-perception bag --clo', ['--clouds']),
        ('robot-perception models l', ['list']),
        ('robot-perception view photo.jpg --preset c', ['cpu']),
    ],
)
def test_bash_completes(command, typed, expected):
    pytest.importorskip('argcomplete')
    bash = shutil.which('bash')
    program = command.program[0]
    if bash is None or not program.endswith('robot-perception'):
        pytest.skip('needs bash and the installed program')
    folder = str(Path(program).parent)
    script = f"""
    eval "$({folder}/register-python-argcomplete robot-perception)"
    COMP_LINE='{typed}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({typed}); COMP_TYPE=9
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _python_argcomplete robot-perception
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = os.pathsep.join([folder, os.environ['PATH']])
    done = subprocess.run(
        [bash, '--norc', '-c', script],
        env={**command.environment, 'PATH': path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (expected, '')
