"""Runtimes besides torch: the choice, the comparison with torch, and what replaces a wrong one."""

import textwrap

from checkpoints import sample_image
import numpy as np
import pytest
from reasons import raises
import torch

from robot_perception.core import ConfigError
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    UploadedImage,
)
from robot_perception.models.device import DeviceSpec
from robot_perception.models.runtimes import choice
from robot_perception.models.runtimes.cache import compiled_folder
from robot_perception.models.runtimes.choice import choose_backends, RuntimeRow
from robot_perception.models.runtimes.self_check import measure, reference_picture, tolerance

SOURCE = '''
import pathlib
from robot_perception.models.runtimes.interfaces import UnusableRuntimeError

HERE = pathlib.Path(__file__).parent

class Fake:
    """Computes with torch, and goes wrong as the files beside this one state."""

    def __init__(self, network, precision, files):
        self._network, self._precision = network, precision
        if (HERE / 'start').exists():
            raise UnusableRuntimeError('it cannot start')

    def __call__(self, *inputs):
        with (HERE / 'calls').open('a') as file:
            file.write(self._precision + ' ')
        outputs = self._network.call(*inputs)
        factor = HERE / self._precision
        if factor.exists():
            outputs = tuple(one * float(factor.read_text()) for one in outputs)
        return outputs
'''
CPU = DeviceSpec(torch.device('cpu'), 'fp32')
FRAME = UploadedImage(sample_image())
BOXES = np.array([[2, 3, 30, 40], [20, 10, 60, 40]], np.float32)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A runtime in a folder of its own, for which files state what it computes wrongly."""
    folder = tmp_path / 'runtime'
    folder.mkdir()
    (folder / 'fake_runtime.py').write_text(textwrap.dedent(SOURCE))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.delitem(__import__('sys').modules, 'fake_runtime', raising=False)
    row = RuntimeRow('fake_runtime', 'Fake', 'torch', 'fake', ('fp32', 'bf16'))
    monkeypatch.setitem(choice.RUNTIMES, 'fake', row)
    return folder


def features(tiny, **options):
    return build_feature_extractor(str(tiny['features']), device='cpu', runtime='fake', **options)


def test_a_runtime_is_a_file_and_a_row(fake, tiny):
    stage = features(tiny)
    expected = build_feature_extractor(str(tiny['features']), device='cpu').extract(FRAME)
    found = [stage.extract(FRAME) for _ in range(6)]
    assert (stage.backend, stage.note) == ('fake fp32', '')
    for one in found:
        np.testing.assert_array_equal(one.patches, expected.patches)
    assert (fake / 'calls').read_text().split() == ['fp32'] * 7, 'the reference picture as well'


@pytest.mark.parametrize('factor', ['1.01', '-1', 'nan'])
def test_a_wrong_runtime_is_replaced_before_its_first_result(fake, tiny, factor):
    (fake / 'fp32').write_text(factor)
    stage = features(tiny)
    found = stage.extract(FRAME)
    expected = build_feature_extractor(str(tiny['features']), device='cpu').extract(FRAME)
    np.testing.assert_array_equal(found.vector, expected.vector)
    assert stage.backend == 'torch fp32'
    assert stage.note.startswith(
        'features: fake fp32 is replaced by torch fp32, since its outputs differ from those of '
    )
    again = features(tiny)
    again.extract(FRAME)
    assert again.backend == 'torch fp32'
    assert (fake / 'calls').read_text().split() == ['fp32'], 'the verdict is kept'


def test_the_next_precision_comes_before_torch(fake, tiny):
    (fake / 'bf16').write_text('2')
    stage = features(tiny, precision='bf16')
    stage.extract(FRAME)
    assert stage.backend == 'fake fp32'
    assert 'fake bf16 is replaced by fake fp32' in stage.note


def test_a_runtime_that_cannot_start_is_replaced_at_loading(fake, tiny):
    (fake / 'start').touch()
    stage = features(tiny)
    assert stage.backend == 'torch fp32'
    assert stage.note == ('features: fake fp32 is replaced by torch fp32, since it cannot start.')


def test_a_folder_that_cannot_be_written_costs_only_the_verdict(fake, tiny, monkeypatch):
    (fake / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(fake / 'file'))
    stage = features(tiny)
    for _ in range(5):
        stage.extract(FRAME)
    assert (stage.backend, stage.note) == ('fake fp32', '')


def test_a_damaged_verdict_is_made_again(fake, tiny):
    stage = features(tiny)
    for _ in range(5):
        stage.extract(FRAME)
    (path,) = compiled_folder().iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    stage = features(tiny)
    for _ in range(5):
        stage.extract(FRAME)
    assert stage.backend == 'fake fp32'
    assert len(path.read_bytes()) > 40


def test_every_stage_is_compared(fake, tiny):
    (fake / 'fp32').write_text('1.01')
    build = {'device': 'cpu', 'runtime': 'fake'}
    depth = build_depth_estimator(str(tiny['depth']), **build)
    depth.estimate(FRAME)
    detector = build_detector(str(tiny['detector']), **build)
    detector.detect(FRAME, threshold=0.1, max_objects=5)
    segmenter = build_segmenter(str(tiny['segmenter']), **build)
    segmenter.segment(segmenter.encode(FRAME), BOXES)
    assert {one.backend for one in (depth, detector, segmenter)} == {'torch fp32'}


def test_the_order_of_backends(fake, monkeypatch):
    def choose(runtime, *, given=False, gains=True):
        backends, problem = choose_backends(
            runtime, CPU, is_precision_given=given, gains_by_bf16=gains
        )
        return [str(one) for one in backends], problem

    monkeypatch.setattr(choice, 'has_bf16_instructions', lambda: True)
    monkeypatch.delitem(choice.RUNTIMES, 'openvino')
    assert choose('auto') == (['fake bf16', 'fake fp32', 'torch fp32'], '')
    assert choose('auto', gains=False) == (['fake fp32', 'torch fp32'], '')
    assert choose('fake', given=True) == (['fake fp32', 'torch fp32'], '')
    assert choose('torch') == (['torch fp32'], '')
    monkeypatch.setattr(choice, 'has_bf16_instructions', lambda: False)
    assert choose('auto') == (['fake fp32', 'torch fp32'], '')
    row = choice.RUNTIMES['fake']._replace(library='not_installed')
    monkeypatch.setitem(choice.RUNTIMES, 'fake', row)
    assert choose('auto') == (['torch fp32'], '')
    backends, problem = choose('fake')
    assert backends == ['torch fp32']
    assert problem == (
        'not_installed is not installed; install it with pip install "robot_perception[fake]"'
    )


def test_unknown_runtimes_and_those_of_another_device_are_refused():
    options = {'is_precision_given': False, 'gains_by_bf16': True}
    with raises(ConfigError, 'unknown_choice', 'runtime: expected auto, torch'):
        choose_backends('tensor', CPU, **options)
    with raises(ConfigError, 'unknown_choice', 'Use auto, or device cpu'):
        choose_backends('openvino', DeviceSpec(torch.device('cuda', 0), 'fp16'), **options)


def test_queries_may_be_in_another_order():
    generator = torch.Generator().manual_seed(0)
    logits, boxes = (torch.randn(1, 100, n, generator=generator) for n in (7, 4))
    order = torch.randperm(100, generator=generator)
    same = measure('detector', (logits, boxes), (logits[:, order], boxes[:, order]))
    assert same.overall < 1e-6
    moved = boxes.clone()
    moved[0, :5] += 0.5
    assert measure('detector', (logits, boxes), (logits, moved)).exceeds(
        tolerance('detector', 'bf16')
    )
    other = boxes.clone()
    other[0, 0] += 3
    assert measure('detector', (logits, boxes), (logits, other)).overall < 1e-6, 'one of 100'


def test_the_reference_picture_has_the_size_asked_for():
    picture = reference_picture((30, 50))
    assert picture.size_hw == (30, 50)
    assert picture.rgb.std() > 20


@pytest.mark.slow
def test_openvino_computes_as_torch(tiny, tmp_path, monkeypatch, caplog):
    pytest.importorskip('openvino', reason='an extra')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    expected = build_segmenter(str(tiny['segmenter']), device='cpu')
    masks = expected.segment(expected.encode(FRAME), BOXES)
    for start in range(2):
        caplog.clear()
        stage = build_segmenter(str(tiny['segmenter']), device='cpu', runtime='openvino')
        found = stage.segment(stage.encode(FRAME), BOXES)
        assert (stage.backend, stage.note) == ('openvino fp32', '')
        assert np.mean(found.pixels != masks.pixels) < 1e-3
        np.testing.assert_allclose(found.scores, masks.scores, atol=1e-4)
        assert ('compiling the network' in caplog.text) == (start == 0)
    for path in tmp_path.rglob('*.blob'):
        path.write_bytes(path.read_bytes()[:1000])
    stage = build_segmenter(str(tiny['segmenter']), device='cpu', runtime='openvino')
    stage.segment(stage.encode(FRAME), BOXES)
    assert stage.backend == 'openvino fp32'
    assert 'is damaged and is written again' in caplog.text
