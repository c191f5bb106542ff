"""Downloads of checkpoints from a fake Hugging Face Hub."""

import os
from pathlib import Path
import shutil
import subprocess
import sys

import huggingface_hub
import pytest
from reasons import raises

from robot_perception.core.errors import ModelError, UnknownModelError, WeightsInvalidError
from robot_perception.models import find_row
from robot_perception.models.download import pull

DETR, D_FINE = 'facebook/detr-resnet-50', 'ustc-community/dfine-nano-coco'


@pytest.fixture
def hub(tmp_path, monkeypatch, tiny):
    """A Hub that serves the tiny detector; the list of requests."""
    requests = []

    def download(model, *, revision, allow_patterns):
        requests.append((model, revision, allow_patterns))
        commit = 'b' * 40 if revision == 'main' else revision
        folder = tmp_path / 'snapshots' / commit
        shutil.copytree(tiny['detector'], folder, dirs_exist_ok=True)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, 'snapshot_download', download)
    return requests


def test_the_pinned_revision_is_downloaded_without_pickles(hub, tiny):
    pulled = pull(DETR)
    revision = find_row(DETR).revision
    patterns = ['config.json', 'preprocessor_config.json', '*.safetensors']
    assert hub == [(DETR, revision, patterns)]
    assert (pulled.path.name, pulled.revision) == (revision, revision)
    assert pulled.bytes == sum(file.stat().st_size for file in tiny['detector'].iterdir())


def test_without_a_pinned_commit_the_downloaded_one_is_reported(hub):
    assert pull(D_FINE).revision == 'b' * 40
    assert hub[0][1] == 'main'


@pytest.mark.parametrize('model', ['nobody/nothing', 'stub', '../folder'])
def test_other_names_are_rejected(hub, model):
    message = f'{model!r}: expected an id of the catalogue. Available: facebook/dinov2-small, '
    with raises(UnknownModelError, 'unknown_model', message):
        pull(model)
    assert not hub


@pytest.mark.parametrize('error', [OSError('no route to host'), ValueError('odd'), TimeoutError()])
def test_errors_of_the_client_are_reported_with_a_remedy(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, 'snapshot_download', fail)
    message = (
        f'{DETR}: expected to download revision {find_row(DETR).revision} from the Hugging Face '
        f'Hub, got {type(error).__name__}: {error}. Check the network and HF_HUB_OFFLINE, or copy'
    )
    with raises(ModelError, 'download_failed', message):
        pull(DETR)


def test_an_unusable_download_is_rejected(hub, monkeypatch, tmp_path):
    folder = Path(huggingface_hub.snapshot_download(DETR, revision='c' * 40, allow_patterns=[]))
    (folder / 'model.safetensors').rename(folder / 'pytorch_model.bin')
    monkeypatch.setattr(huggingface_hub, 'snapshot_download', lambda *_, **__: str(folder))
    with raises(WeightsInvalidError, 'pickled'):
        pull(DETR)
    assert hub
    assert tmp_path in folder.parents


def test_offline_mode_of_the_client_is_an_error(tmp_path):
    code = (
        'from robot_perception.models.download import pull\n'
        'from robot_perception.core.errors import ModelError\n'
        'try: pull("facebook/dinov2-small")\n'
        'except ModelError as error: print(error)\n'
    )
    env = dict(os.environ, HF_HUB_OFFLINE='1', HF_HOME=str(tmp_path))
    done = subprocess.run(
        [sys.executable, '-c', code], env=env, capture_output=True, text=True, check=False
    )
    assert 'facebook/dinov2-small: expected to download revision ed25f3a' in done.stdout, (
        done.stderr
    )
    assert 'Check the network and HF_HUB_OFFLINE' in done.stdout
