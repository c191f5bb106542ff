"""Flags that mean the same for every verb: --output, --force, --json, -v, -q and --log-file."""

import argparse
import json
import logging
import resource
import sys

from bags import generated_frames, write_rgbd_bag
import cv2
import numpy as np
import pytest

from robot_perception.cli import main
from robot_perception.cli.log import logging_messages

LOG = {'verbose', 'quiet', 'log_file'}
# Verb -> which flags it has beside those of the log.
VERBS = {
    'ask': {'force', 'json'},
    'bag': {'output', 'force', 'json'},
    'bench faults': {'force', 'json'},
    'bench lift': {'force', 'json'},
    'bench networks': {'force', 'json'},
    'bench node': {'force', 'json'},
    'bench soak': {'force', 'json'},
    'compare': {'force', 'json'},
    'demo': {'output', 'force', 'json'},
    'doctor': {'force', 'json'},
    'evaluate': {'output', 'force', 'json'},
    'export': {'output', 'force', 'json'},
    'fleet': {'output', 'force', 'json'},
    'image': {'output', 'force', 'json'},
    'models check': {'force', 'json'},
    'models list': {'force', 'json'},
    'models pull': {'force', 'json'},
    'replay': set(),
    'serve': set(),
    'search': {'output', 'force', 'json'},
    'view': {'force', 'json'},
    'world phrases': {'output', 'force', 'json'},
    'world questions': {'output', 'force', 'json'},
    'world record': {'force', 'json'},
    'world train': set(),
}
# Arguments with which a verb would start its work.
CALLS = {
    'bag': ['bag', '-o', 'out', '--preset', 'stub'],
    'compare': ['bag', 'bag'],
    'demo': ['photo.png', '--preset', 'stub', '-o', 'out'],
    'evaluate': ['--world', '900000:900001', '--preset', 'stub', '-o', 'out'],
    'export': ['photo.png', '-o', 'out', '--preset', 'stub'],
    'fleet': ['bag', '-o', 'out', '--preset', 'stub', '--engine', 'local'],
    'image': ['photo.png', '-o', 'out', '--preset', 'stub'],
    'view': ['photo.png', '--html', 'out', '--preset', 'stub'],
    'world record': ['out', '--frames', '1', '--size', '64x48'],
}


def find_verbs(parser, words=()):
    """Yield (words, parser) of each verb, and of each action of a verb that has some."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, one in action.choices.items():
                yield from find_verbs(one, (*words, name))
            return
    yield ' '.join(words), parser


PARSERS = dict(find_verbs(main._parser([])))


def test_every_verb_is_here():
    assert set(PARSERS) == set(VERBS)


@pytest.mark.parametrize('verb', VERBS)
def test_flags_of_a_verb(verb):
    flags = {action.dest: action for action in PARSERS[verb]._actions}
    common = {'output', 'force', 'json'}
    # That of world is the folder it makes, which is its only argument.
    positional = {name for name, one in flags.items() if not one.option_strings}
    assert (set(flags) - positional) & (common | LOG) == VERBS[verb] | LOG
    names = {name: tuple(flags[name].option_strings) for name in (VERBS[verb] | LOG)}
    expected = {
        'output': ('-o', '--output'),
        'force': ('--force',),
        'json': ('--json',),
        'verbose': ('-v', '--verbose'),
        'quiet': ('-q', '--quiet'),
        'log_file': ('--log-file',),
    }
    assert names.items() <= expected.items()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a picture and a bag."""
    monkeypatch.chdir(tmp_path)
    assert cv2.imwrite('photo.png', np.zeros((48, 64, 3), np.uint8))
    write_rgbd_bag(tmp_path / 'bag', generated_frames(2))
    return tmp_path


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def run(verb, *arguments):
    return main.main([*verb.split(), *CALLS[verb], *map(str, arguments)])


@pytest.mark.parametrize('verb', [verb for verb in CALLS if verb != 'compare'])
@pytest.mark.parametrize('force', [(), ('--force',)], ids=['', 'force'])
def test_files_of_others_are_never_overwritten(folder, capsys, verb, force):
    (folder / 'out').mkdir()
    (folder / 'out' / 'photo_scene.json').write_text('mine')
    if verb == 'image' and force:
        pytest.skip('the names of its results are those of its pictures')
    before = files_in(folder)
    assert run(verb, *force) == 1
    printed = capsys.readouterr()
    assert printed.out == ''
    assert 'out' in printed.err
    assert files_in(folder) == before


@pytest.mark.parametrize('verb', CALLS)
def test_a_file_of_json_is_not_overwritten(folder, capsys, verb):
    (folder / 'all.json').write_text('mine')
    before = files_in(folder)
    assert run(verb, '--json', 'all.json') == 1
    assert '--json: expected a new name, got all.json, which exists' in capsys.readouterr().err
    assert files_in(folder) == before


@pytest.mark.parametrize('verb', ['export', 'view', 'world record', 'evaluate'])
def test_results_of_an_earlier_run_are_replaced_by_force_only(folder, capsys, verb):
    assert run(verb, '--json', 'all.json') == 0
    printed = capsys.readouterr()
    assert 'out' in printed.out
    assert json.loads((folder / 'all.json').read_text())
    before = files_in(folder)
    assert run(verb) == 1
    assert '--force' in capsys.readouterr().err
    assert files_in(folder) == before
    assert run(verb, '--force', '--json') == 0
    assert json.loads(capsys.readouterr().out)
    (folder / 'out' / 'thesis.pdf').touch()
    assert run(verb, '--force') == 1
    assert 'thesis.pdf' in capsys.readouterr().err
    assert (folder / 'out' / 'thesis.pdf').exists()
    assert not list(folder.glob('.out.*'))


@pytest.mark.parametrize('verb', ['export', 'view', 'evaluate'])
def test_a_full_disk_leaves_the_earlier_results(folder, capsys, verb):
    assert run(verb) == 0
    before = files_in(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        assert run(verb, '--force') == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert 'cannot be written: File too large' in capsys.readouterr().err
    assert files_in(folder) == before
    assert not list(folder.glob('.out.*'))


@pytest.mark.parametrize('flag', ['--json', '--log-file'])
def test_an_input_is_not_taken_for_a_file_to_write(folder, capsys, flag):
    before = files_in(folder)
    with pytest.raises(SystemExit, match='2'):
        main.main(['image', flag, 'photo.png', 'photo.png', '--force'])
    assert 'expected a name ending in' in capsys.readouterr().err
    assert files_in(folder) == before


@pytest.mark.parametrize(
    ('flags', 'shown'),
    [
        ((), {'info', 'warning', 'error'}),
        (('-q',), {'warning', 'error'}),
        (('-v',), {'debug', 'info', 'warning', 'error'}),
    ],
)
def test_levels_of_messages(tmp_path, capsys, flags, shown):
    file = tmp_path / 'logs' / 'run.log'
    words = ['models', 'list', *flags, '--log-file', str(file)]
    arguments = main._parser(words).parse_args(words)
    levels = ('debug', 'info', 'warning', 'error')
    for _ in range(2):
        with logging_messages(arguments):
            for level in levels:
                getattr(logging.getLogger('robot_perception.any'), level)('%s', level)
            logging.getLogger('other').info('of another library')
        printed = capsys.readouterr()
        assert printed.out == ''
        assert set(printed.err.split()) == shown
    logging.getLogger('robot_perception.any').error('after its end')
    # The second run appends.
    lines = file.read_text().splitlines()
    assert [line.rsplit(' ', 1)[1] for line in lines] == [*levels, *levels]
    assert all(line.startswith('20') for line in lines)


def test_an_error_is_in_the_log_with_its_traceback(folder, capsys):
    assert main.main(['view', 'gone', '--html', 'out', '-q', '--log-file', 'run.log']) == 1
    printed = capsys.readouterr().err
    assert printed.startswith('robot-perception view: gone: expected a bag, video')
    assert 'Traceback' not in printed
    text = (folder / 'run.log').read_text()
    assert printed.strip() in text
    assert 'Traceback' in text


def test_a_log_that_cannot_be_written(folder, capsys):
    (folder / 'run.log').mkdir()
    assert main.main(['models', 'list', '--log-file', 'run.log']) == 1
    assert '--log-file: run.log: cannot be written: Is a directory' in capsys.readouterr().err


def test_a_quiet_command_prints_no_progress(monkeypatch, folder, capsys):
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    assert run('export', '-q') == 0
    printed = capsys.readouterr()
    assert printed.err == ''
    assert printed.out.startswith('wrote 1 frame to ')
