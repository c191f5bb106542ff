"""Downloads of checkpoints from a server that speaks the protocol of the Hugging Face Hub."""

from dataclasses import replace
import json
import shutil
import socket
import time

from checkpoints import rewrite_config, write_semantics
import cv2
from hub_server import serve_hub, sha256
import huggingface_hub
import numpy as np
from prompted_checkpoints import write_prompted
import pytest
from reasons import raises
from scene_checkpoints import write_image_text
from tiny_describers import write_tiny_describer

from robot_perception.cli.main import main
from robot_perception.cli.settings import log_caveat
from robot_perception.core.errors import (
    ModelError,
    UnknownModelError,
    WeightsInvalidError,
    WeightsMissingError,
)
from robot_perception.models import build_describer, build_detector, catalogue, find_row
from robot_perception.models.checkpoint import locate_checkpoint
from robot_perception.models.download import pull
from robot_perception.models.licenses import find_license
from robot_perception.pipeline import (
    check_checkpoints,
    license_notes,
    networks_needed,
    PerceptionConfig,
    PerceptionPipeline,
)

DETR, OTHER = 'facebook/detr-resnet-50', 'somebody/fine-tuned'
COMMIT = 'b' * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the Hub."""
    path = tmp_path / 'cache'
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE', str(path))
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', False)
    return path


@pytest.fixture
def hub(cache, tiny, tmp_path, monkeypatch):
    """A Hub that serves the tiny detector under two ids, of which one is in the catalogue."""
    with serve_hub() as server:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, 'ENDPOINT', server.url)
        monkeypatch.setattr(
            constants,
            'HUGGINGFACE_CO_URL_TEMPLATE',
            server.url + '/{repo_id}/resolve/{revision}/{filename}',
        )
        folder = shutil.copytree(tiny['detector'], tmp_path / 'served')
        (folder / 'pytorch_model.bin').touch()
        server.add(OTHER, folder, COMMIT)
        server.add(DETR, folder, find_row(DETR).revision)
        row = replace(find_row(DETR), sha256=sha256(folder / 'model.safetensors'))
        others = tuple(one for one in catalogue.CATALOGUE if one.model != DETR)
        monkeypatch.setattr(catalogue, 'CATALOGUE', (row, *others))
        yield server


def test_any_id_of_a_known_architecture_is_pinned_to_its_commit(hub, tiny):
    pulled = pull(OTHER)
    assert (pulled.path.name, pulled.revision) == (COMMIT, COMMIT)
    names = {path.name for path in pulled.path.iterdir()}
    assert names == {'config.json', 'preprocessor_config.json', 'model.safetensors'}
    assert pulled.bytes == sum(file.stat().st_size for file in pulled.path.iterdir())
    found = locate_checkpoint(OTHER, 'detector')
    assert (found.name, found.folder) == (OTHER, pulled.path)
    assert found.sha256['model.safetensors'] == sha256(tiny['detector'] / 'model.safetensors')
    assert build_detector(OTHER, device='cpu').class_names[0] == 'thing'
    # The newer commit is used once it is pulled.
    hub.add(OTHER, hub.models[OTHER][0], 'c' * 40)
    assert locate_checkpoint(OTHER, 'detector').folder == pulled.path
    assert pull(OTHER).revision == 'c' * 40
    assert locate_checkpoint(OTHER, 'detector').folder.name == 'c' * 40


def test_a_detector_that_takes_prompts_comes_with_its_tokenizer(hub, tmp_path):
    folder = write_prompted(tmp_path / 'owlvit', 'owlvit')
    (folder / 'notes.txt').touch()
    hub.add(OTHER, folder, COMMIT)
    names = {path.name for path in pull(OTHER).path.iterdir()}
    assert names == {path.name for path in folder.iterdir()} - {'notes.txt', 'README.md'}
    assert build_detector(OTHER, device='cpu').prompted(['cup']).class_names == ('cup',)
    (folder / 'vocab.json').unlink()
    hub.add(OTHER, folder, 'c' * 40)
    with raises(WeightsMissingError, 'missing_file', 'expected a tokenizer'):
        pull(OTHER)


def test_a_describer_comes_with_its_processor(hub, tmp_path):
    folder = write_tiny_describer('llava', tmp_path / 'llava')
    hub.add(OTHER, folder, COMMIT)
    names = {path.name for path in pull(OTHER).path.iterdir()}
    assert names == {path.name for path in folder.iterdir()}
    assert 'chat_template.jinja' in names
    assert build_describer(OTHER, device='cpu').placement.precision == 'fp32'


@pytest.mark.parametrize(
    ('card', 'license_id', 'note'),
    [
        (None, '', ''),
        ({'license': 'apache-2.0'}, 'apache-2.0', ''),
        ({'license': 'bsd-3-clause'}, 'bsd-3-clause', ''),
        ({'license': 'cc-by-nc-4.0'}, 'cc-by-nc-4.0', 'excludes commercial use.'),
        ({'license': 'CC-BY-NC-SA-4.0'}, 'CC-BY-NC-SA-4.0', 'excludes commercial use.'),
        ({'license': 'apple-amlr'}, 'apple-amlr', 'excludes commercial use.'),
        ({'license': ['mit', 'cc-by-nc-4.0']}, 'mit, cc-by-nc-4.0', 'excludes commercial use.'),
        ({'license': 'cc_non_commercial'}, 'cc_non_commercial', 'excludes commercial use.'),
        ({'license': 'deepfloyd-if-license'}, 'deepfloyd-if-license', 'excludes commercial use.'),
        ({'license': 'apple-ascl'}, 'apple-ascl', f'read it at https://huggingface.co/{OTHER}.'),
        (
            {'license': ['mit', 'other'], 'license_name': 'mine'},
            'mit, other: mine',
            f'read it at https://huggingface.co/{OTHER}.',
        ),
        ({'license': 'other'}, 'other', f'read it at https://huggingface.co/{OTHER}.'),
        (
            {'license': 'other', 'license_name': 'dinov3-license'},
            'other: dinov3-license',
            f'read it at https://huggingface.co/{OTHER}.',
        ),
    ],
)
def test_the_license_of_a_model_is_kept_and_named(hub, card, license_id, note, caplog):
    hub.cards[OTHER] = card
    pull(OTHER)
    assert find_license(OTHER) == license_id
    config = PerceptionConfig.from_preset('stub', {'detector.model': OTHER})
    notes = license_notes(config)
    assert len(notes) == bool(note)
    assert all(one.endswith(note) and OTHER in one and license_id in one for one in notes)
    # Every verb that loads networks logs them to standard error.
    log_caveat(config, [])
    assert caplog.messages == [f'note: {one}' for one in notes]
    disabled = config.with_values({'detector.enabled': False, 'describer.model': OTHER})
    assert license_notes(disabled) == ()
    assert license_notes(disabled, answers=True) == notes


def test_the_license_of_an_earlier_download_is_not_known(hub, cache):
    assert find_license('stub') == find_license(OTHER) == ''
    pull(OTHER)
    (record,) = cache.glob('*/robot_perception.json')
    content = json.loads(record.read_text())
    del content['license']
    record.write_text(json.dumps(content))
    assert find_license(OTHER) == ''
    assert locate_checkpoint(OTHER, 'detector').folder.name == COMMIT
    assert find_license(DETR) == 'Apache-2.0'


def test_a_removed_snapshot_is_pulled_again(hub):
    shutil.rmtree(pull(OTHER).path)
    with raises(WeightsMissingError, 'not_downloaded', f'models pull {OTHER}'):
        locate_checkpoint(OTHER, 'detector')
    pulled = pull(OTHER).path
    assert locate_checkpoint(OTHER, 'detector').folder == pulled


def test_a_file_of_ones_own_is_not_to_be_pulled(hub):
    models = {'detector.model': '/nope/best.onnx', 'depth.model': 'somebody/else'}
    config = PerceptionConfig.from_preset('stub', models)
    with raises(WeightsMissingError, 'missing_file', 'there is no file /nope/best.onnx'):
        check_checkpoints(config)


def test_a_folder_for_two_stages_is_checked_for_each():
    folder = str(catalogue.DEMO_FOLDER / 'rt_detr_v2')
    models = {'features.model': folder, 'detector.model': folder}
    config = PerceptionConfig.from_preset('stub', models)
    with raises(ModelError, 'wrong_task', 'features.model'):
        check_checkpoints(config)


def test_the_license_of_answers_is_named(hub, tmp_path, capsys):
    hub.add(OTHER, write_tiny_describer('llava', tmp_path / 'llava'), COMMIT)
    hub.cards[OTHER] = {'license': 'cc-by-nc-4.0'}
    pull(OTHER)
    path = tmp_path / 'photo.png'
    cv2.imwrite(str(path), np.zeros((32, 32, 3), np.uint8))
    main(['ask', str(path), 'what is this?', '--model', OTHER])
    assert f'{OTHER} (cc-by-nc-4.0) excludes commercial use.' in capsys.readouterr().err


def test_a_revision_can_be_named(hub):
    assert pull(f'{OTHER}@{COMMIT}').revision == COMMIT
    with raises(UnknownModelError, 'unknown_revision', f'commit that exists, got {"d" * 40!r}'):
        pull(f'{OTHER}@{"d" * 40}')
    with raises(ModelError, 'pinned_revision', f'got {COMMIT}. Leave @{COMMIT} out'):
        pull(f'{DETR}@{COMMIT}')


def test_a_row_of_the_catalogue_is_downloaded_at_its_revision_and_once(hub):
    pulled = pull(DETR)
    assert pulled.revision == find_row(DETR).revision
    count = len(hub.requests)
    assert pull(DETR) == pulled
    assert len(hub.requests) == count


def test_a_row_without_a_revision_is_pinned_by_its_first_download(hub, tmp_path, monkeypatch):
    row = replace(find_row(DETR), revision='', sha256='', model=OTHER)
    monkeypatch.setattr(catalogue, 'CATALOGUE', (row,))
    with raises(WeightsMissingError, 'not_downloaded'):
        locate_checkpoint(OTHER, 'detector')
    pulled = pull(OTHER)
    assert pulled.revision == COMMIT
    # A newer commit changes nothing, unless it is asked for.
    hub.add(OTHER, tmp_path / 'served', 'c' * 40)
    count = len(hub.requests)
    assert pull(OTHER) == pulled == pull(f'{OTHER}@{COMMIT}')
    assert len(hub.requests) == count
    assert locate_checkpoint(OTHER, 'detector').folder == pulled.path
    weights = pulled.path / 'model.safetensors'
    data = weights.read_bytes()
    weights.resolve().write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with raises(WeightsInvalidError, 'wrong_checksum'):
        build_detector(OTHER)
    weights.resolve().write_bytes(data)
    assert pull(f'{OTHER}@{"c" * 40}').revision == 'c' * 40
    assert locate_checkpoint(OTHER, 'detector').folder.name == 'c' * 40


@pytest.mark.slow
def test_the_preset_words_runs_on_what_its_pull_brings(hub, tiny, tmp_path, monkeypatch, capsys):
    folders = {
        **tiny,
        'detector': write_prompted(tmp_path / 'detector', 'mm-grounding-dino'),
        'semantics': write_semantics(tmp_path / 'semantics', 'eomt'),
        'scene': write_image_text(tmp_path / 'scene', 'siglip'),
        'describer': write_tiny_describer('smolvlm', tmp_path / 'describer'),
    }
    config = PerceptionConfig.from_preset('words')
    models = {stage: config.stage(stage).model for stage in networks_needed(config)}
    models['describer'] = config.describer.model
    rows = []
    for task, model in models.items():
        row, folder = find_row(model), folders[task]
        hub.add(model, folder, row.revision or COMMIT)
        weights = sha256(folder / 'model.safetensors')
        rows.append(replace(row, sha256=weights if row.is_pinned else ''))
    monkeypatch.setattr(catalogue, 'CATALOGUE', tuple(rows))
    assert main(['models', 'pull', '--preset', 'words']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(':')[0] for line in lines] == list(models.values())
    unpinned = [line for line in lines if f'{COMMIT} (not pinned by this package' in line]
    assert len(unpinned) == 2
    # The tiny tokenizers know few words.
    known = {'detector.prompts': 'red cup, chair', 'scene.labels': 'kitchen, office'}
    pipeline = PerceptionPipeline.from_preset('words', known, device='cpu')
    scene = pipeline.process(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    assert pipeline.class_names == ('red cup', 'chair')
    assert scene.semantics is not None
    assert scene.scene_classes is not None
    assert build_describer(config.describer.model, device='cpu')


def test_without_network_an_earlier_download_is_enough(hub, monkeypatch):
    pulled = pull(OTHER)
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    assert pull(OTHER) == pulled


def test_files_are_verified_when_loaded(hub):
    weights = pull(OTHER).path / 'model.safetensors'
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.resolve().write_bytes(data)
    message = r'expected model.safetensors with the SHA-256 .*Remove .*models pull somebody/fine-'
    with raises(WeightsInvalidError, 'wrong_checksum', message):
        build_detector(OTHER)


def test_other_bytes_than_those_of_the_catalogue_are_refused(hub, cache):
    hub.damaged.add('model.safetensors')
    with raises(WeightsInvalidError, 'wrong_checksum', 'expected model.safetensors with the SHA'):
        pull(DETR)
    hub.damaged.clear()
    assert pull(DETR).path.is_relative_to(cache)


def test_an_unsupported_architecture_is_refused_before_its_weights(hub, tmp_path):
    rewrite_config(tmp_path / 'served', model_type='table-transformer')
    message = "got 'table-transformer', which is not supported. Nearest: detr. Give a checkpoint"
    with raises(ModelError, 'unsupported_architecture', message):
        pull(OTHER)
    assert not [path for _, path in hub.requests if path.endswith('.safetensors')]


def test_only_pickles_are_refused(hub, tmp_path):
    (tmp_path / 'served' / 'model.safetensors').unlink()
    with raises(WeightsInvalidError, 'pickled'):
        pull(OTHER)


@pytest.mark.parametrize('model', ['stub', '../folder', 'a/b/c', '', 'https://x/y', 'a b/c'])
def test_names_that_are_no_ids_are_refused(hub, model):
    with raises(UnknownModelError, 'unknown_model', 'expected an id of the Hugging Face Hub'):
        pull(model)
    assert not hub.requests


def test_a_misspelled_id_names_the_nearest(hub):
    message = f'got none of that name, or a private one. Nearest in the catalogue: {DETR}'
    with raises(UnknownModelError, 'unknown_model', message):
        pull('facebok/detr-resnet50')


def test_terms_that_have_to_be_accepted(hub):
    hub.gated.add(OTHER)
    message = f'Accept the terms at {hub.url}/{OTHER}, then run "hf auth login"'
    with raises(ModelError, 'terms_not_accepted', message):
        pull(OTHER)


def test_a_full_disk_is_named_before_the_download(hub):
    hub.claimed_bytes['model.safetensors'] = 2**60
    with raises(ModelError, 'disk_full', r'got \d+ MB in .*cache. Free \d+ MB, or set HF_HOME'):
        pull(OTHER)
    assert not [path for _, path in hub.requests if path.endswith('.safetensors')]


def test_a_disk_that_becomes_full_is_named(hub, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', fail)
    with raises(ModelError, 'disk_full', 'the disk is full. Free space in'):
        pull(OTHER)


def test_no_network_is_named_within_seconds(hub, monkeypatch):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        closed = f'http://127.0.0.1:{unused.getsockname()[1]}'
    monkeypatch.setattr(huggingface_hub.constants, 'ENDPOINT', closed)
    begin = time.monotonic()
    with raises(ModelError, 'no_network', f'no network: {closed} cannot be reached'):
        pull(OTHER)
    assert time.monotonic() - begin < 25


def test_offline_mode_of_the_client_is_named(cache, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    with raises(ModelError, 'offline', 'HF_HUB_OFFLINE is set. Unset it, or copy the folder'):
        pull(DETR)
    assert not cache.exists()


def test_an_interrupted_download_is_not_used(hub, monkeypatch):
    fetch = huggingface_hub.hf_hub_download

    def interrupted(name, file, **named):
        if file == 'model.safetensors':
            raise KeyboardInterrupt
        return fetch(name, file, **named)

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', interrupted)
    for model in (OTHER, DETR):
        with pytest.raises(KeyboardInterrupt):
            pull(model)
        with pytest.raises(ModelError):
            locate_checkpoint(model, 'detector')
    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', fetch)
    for model in (OTHER, DETR):
        folder = pull(model).path
        assert locate_checkpoint(model, 'detector').folder == folder
