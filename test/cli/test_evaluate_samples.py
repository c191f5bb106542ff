"""`robot-perception evaluate --samples` and `robot-perception world questions`."""

import json

import pytest

from robot_perception.cli.main import main


@pytest.fixture
def folder(tmp_path, monkeypatch, picture):
    """A working folder with an image, samples about it and predictions."""
    monkeypatch.chdir(tmp_path)
    picture('photo.png', (48, 64))
    samples = [
        {
            'image': 'photo.png',
            'gt_objects': [{'name': 'cup', 'box': [0, 0, 20, 20]}],
            'gt_scene': 'table',
        },
        {'image': 'photo.png', 'question': 'How many cups?', 'gt_answer': '1'},
    ]
    (tmp_path / 'samples.json').write_text(json.dumps(samples))
    predictions = [
        {'objects': [{'name': 'cup', 'box': [0, 0, 20, 10]}, 'hat'], 'scene_type': 'table'},
        {'answer': 'one'},
    ]
    (tmp_path / 'predictions.json').write_text(json.dumps(predictions))
    return tmp_path


def evaluate(*arguments):
    return main(['evaluate', '--samples', 'samples.json', '-o', 'out', *map(str, arguments)])


def values(folder):
    rows = json.loads((folder / 'out' / 'results.json').read_text())['rows']
    return {f'{row["group"]}/{row["name"]}': row['value'] for row in rows}


def test_predictions_of_a_file(folder, capsys):
    assert evaluate('--predictions', 'predictions.json') == 0
    printed = capsys.readouterr().out
    assert 'hallucination: 1\n  photo.png: named hat, which the image lacks' in printed
    assert 'wrong' not in printed
    found = values(folder)
    assert found['scene/accuracy'] == found['answers/exact match'] == found['names/recall'] == 1
    assert found['names/hallucination rate'] == found['grounding/mean IoU'] == 0.5
    assert found['answers/soft accuracy'] is None
    # Written once, and not over it.
    assert evaluate('--predictions', 'predictions.json') == 1


def test_networks_are_run_without_predictions(folder, capsys):
    options = ['--preset', 'stub', '--set', 'describer.model=stub']
    assert evaluate(*options, '--json') == 0
    report = json.loads(capsys.readouterr().out)
    assert report['schema'] == 'robot_perception/sample_evaluation'
    found = values(folder)
    assert found['names/recall'] == found['answers/exact match'] == 0
    assert found['names/hallucination rate'] == 1
    predictions = json.loads((folder / 'out' / 'predictions.json').read_text())
    assert predictions[1]['answer'].startswith('an image of 64 x 48 pixels')
    assert {item['name'] for item in predictions[0]['objects']} == {
        'stub red', 'stub green', 'stub blue',
    }  # fmt: skip
    # The predictions can be evaluated again.
    assert evaluate('--predictions', 'out/predictions.json', '-o', 'again') == 0


def test_licenses_of_loaded_networks_are_named(folder, capsys, tmp_path):
    network = tmp_path / 'network'
    network.mkdir()
    (network / 'README.md').write_text('---\nlicense: cc-by-nc-4.0\n---\n')
    (tmp_path / 'questions.json').write_text(
        json.dumps([{'image': 'photo.png', 'question': 'How many?', 'gt_answer': '1'}])
    )
    options = ['--preset', 'stub', '--set', f'describer.model={network}']
    command = ['evaluate', '--samples', 'questions.json', '-o', 'answers', *options]
    assert main(command) == 1
    printed = capsys.readouterr().err
    assert f'The license of {network} (cc-by-nc-4.0) excludes commercial use.' in printed
    # Nothing is asked about these.
    (tmp_path / 'samples.json').write_text(json.dumps([{'image': 'photo.png', 'gt_scene': 'x'}]))
    assert evaluate(*options) == 0
    assert 'license' not in capsys.readouterr().err


def test_questions_without_a_describer_are_left_out(folder, capsys):
    assert evaluate('--preset', 'stub') == 0
    assert 'questions are left out' in capsys.readouterr().err
    assert values(folder)['answers/exact match'] is None


def test_conflicting_flags(folder, capsys):
    assert evaluate('--world', '900000:900001') == 2
    assert '--world: expected without --samples, got both' in capsys.readouterr().err
    assert not (folder / 'out').exists()


@pytest.mark.slow
def test_questions_about_rendered_scenes(tmp_path, monkeypatch, capsys):
    pytest.importorskip('open3d')
    monkeypatch.chdir(tmp_path)
    arguments = ['world', 'questions', '900000:900002', '-o', 'made', '--size', '96x64']
    assert main(arguments) == 0
    assert 'questions about 2 scenes' in capsys.readouterr().out
    samples = json.loads((tmp_path / 'made' / 'samples.json').read_text())
    answers = [{'answer': one['gt_answer']} if 'gt_answer' in one else {} for one in samples]
    (tmp_path / 'answers.json').write_text(json.dumps(answers))
    command = ['evaluate', '--samples', 'made/samples.json', '--predictions', 'answers.json']
    assert main([*command, '-o', 'out']) == 0
    assert values(tmp_path)['answers/exact match'] == 1
    assert values(tmp_path)['names/recall'] is None
    assert main(arguments) == 1
    assert main(['world', 'questions', '5:7', '-o', 'other']) == 2
    images = {path.name for path in (tmp_path / 'made').glob('*.png')}
    assert images == {'900000.png', '900001.png'}
