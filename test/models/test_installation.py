"""Imports without torch, and the errors of broken installations."""

import os
from pathlib import Path
import re
import subprocess
import sys

import pytest
from reasons import raises

pytestmark = pytest.mark.slow

TORCH_FREE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'transformers', 'safetensors', 'huggingface_hub'):
            raise ModuleNotFoundError(f'{name} is blocked')

sys.meta_path.insert(0, Blocker())
import numpy as np
from robot_perception import models
from robot_perception.core import Image

assert models.CATALOGUE
frame = models.UploadedImage(Image(np.zeros((8, 9, 3), np.uint8)))
found = models.build_detector('stub').detect(frame, threshold=0.5, max_objects=3)
models.build_feature_extractor('stub').extract(frame)
models.build_depth_estimator('stub').estimate(frame)
segmenter = models.build_segmenter('stub')
assert len(segmenter.segment(segmenter.encode(frame), found.boxes_xyxy)) == 3
assert not {'torch', 'transformers'} & set(sys.modules)
print('done')
"""

BUILD = """
from robot_perception import models
from robot_perception.core.errors import PerceptionError
try:
    models.build_feature_extractor(%r, device='cpu')
except PerceptionError as error:
    print(type(error).__name__, error)
else:
    print('built')
"""


def run(code, *paths):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, paths)), OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, '-c', code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_package_and_the_stubs_need_no_torch():
    assert run(TORCH_FREE) == 'done'


def fake_package(folder, name, code):
    package = folder / name
    package.mkdir(parents=True)
    (package / '__init__.py').write_text(code)
    return folder


@pytest.mark.parametrize(
    ('code', 'reason'),
    [
        (
            'raise RuntimeError("operator torchvision::nms does not exist")',
            'RuntimeError: operator torchvision::nms does not exist',
        ),
        (
            'raise ImportError("libcudart.so.13: cannot open shared object file")',
            'ImportError: libcudart.so.13: cannot open shared object file',
        ),
    ],
)
def test_the_error_of_a_broken_torchvision_names_it(tiny, tmp_path, code, reason):
    broken = fake_package(tmp_path, 'torchvision', code)
    printed = run(BUILD % str(tiny['features']), broken)
    assert printed.startswith(
        'ModelError torchvision: expected a build that fits the installed torch, or none; got one '
        f'that cannot be imported ({reason})'
    )
    assert 'pip uninstall torchvision' in printed


def test_the_error_of_a_missing_library_names_it(monkeypatch):
    import importlib.util

    from robot_perception.core.errors import ModelError
    from robot_perception.models import build_detector

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == 'safetensors' else find(name)
    )
    message = (
        'safetensors: expected to be installed, and is not. Networks need torch, transformers, '
        'safetensors, huggingface_hub: pip install safetensors; or use model "stub"'
    )
    with raises(ModelError, 'missing_library', message):
        build_detector('anything')


@pytest.mark.parametrize('version', ['4.57.1', '6.0.0.dev0'])
def test_another_version_of_transformers_is_refused(monkeypatch, version):
    import importlib.metadata

    from robot_perception.core.errors import ModelError
    from robot_perception.models import build_detector

    found = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        'version',
        lambda name: version if name == 'transformers' else found(name),
    )
    setup = (Path(__file__).parents[2] / 'setup.py').read_text(encoding='utf-8')
    supported = re.search(r"'(transformers>=5,<6)'", setup)[1]
    message = (
        f'transformers: expected version 5, got {re.escape(version)}, whose networks may give '
        f'other results: pip install "{supported}"'
    )
    with raises(ModelError, 'unsupported_version', message):
        build_detector('anything')


def test_a_missing_checkpoint_is_not_downloaded(tmp_path):
    """Sockets are blocked."""
    code = (
        'import socket\n'
        'def refuse(*args, **named): raise AssertionError("network access")\n'
        'socket.socket.connect = socket.getaddrinfo = refuse\n' + BUILD % 'facebook/dinov2-small'
    )
    printed = run(
        f'import os; os.environ["HF_HOME"] = {str(tmp_path)!r}; '
        f'os.environ.pop("HF_HUB_OFFLINE", None)\n{code}'
    )
    assert printed.startswith(
        'WeightsMissingError features.model: facebook/dinov2-small is not on'
    )
    assert 'robot-perception models pull facebook/dinov2-small' in printed
