"""Runtimes besides torch: the choice, the comparison with torch, and what replaces a wrong one."""

from concurrent.futures import ThreadPoolExecutor
import hashlib
import logging
import re
import textwrap

from checkpoints import sample_image
import numpy as np
import pytest
from reasons import raises
import torch
from torch.nn import functional

from robot_perception.core import ConfigError
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    compare_stage,
    UploadedImage,
)
from robot_perception.models.device import DeviceSpec
from robot_perception.models.runtimes import choice, RuntimeRow
from robot_perception.models.runtimes.cache import compiled_folder
from robot_perception.models.runtimes.choice import choose_backends
from robot_perception.models.runtimes.onnxruntime import choose_providers
from robot_perception.models.runtimes.self_check import measure, reference_picture, tolerance

SOURCE = '''
import pathlib
import time
from robot_perception.models.runtimes.compiled import CompiledNetwork
from robot_perception.models.runtimes.interfaces import UnusableRuntimeError

HERE = pathlib.Path(__file__).parent

class Fake:
    """Computes with torch, and goes wrong as the files beside this one state."""

    def __init__(self, network, placement, files, max_shapes):
        self._network, self._precision = network, placement.precision
        self._last = None, ()
        if (HERE / 'start').exists():
            raise UnusableRuntimeError('it cannot start')

    def __call__(self, *inputs):
        with (HERE / 'calls').open('a') as file:
            file.write(self._precision + ' ')
        if (HERE / 'slow').exists():
            time.sleep(float((HERE / 'slow').read_text()))
        key = [one.numpy().tobytes() for one in inputs] if (HERE / 'fast').exists() else None
        if key is not None and key == self._last[0]:
            return self._last[1]
        outputs = self._network.call(*inputs)
        factor, narrow = HERE / self._precision, HERE / 'narrow'
        width = float(narrow.read_text()) if narrow.exists() else float('inf')
        if factor.exists() and inputs[0].shape[-1] <= width:
            outputs = tuple(one * float(factor.read_text()) for one in outputs)
        self._last = key, outputs
        return outputs

class Hungry(CompiledNetwork):
    """Needs more memory than there is."""

    title = 'Hungry'

    def _compile(self, inputs):
        raise MemoryError('64 GiB')

    def _load(self, content):
        raise MemoryError('64 GiB')

class Compiled(CompiledNetwork):
    """Computes with torch, and notes the shapes that it was compiled for."""

    title = 'Compiled'

    def _compile(self, inputs):
        with (HERE / 'shapes').open('a') as file:
            file.write('x'.join(map(str, inputs[0].shape)) + ' ')
        return self._load(b''), b'as torch'

    def _load(self, content):
        return lambda inputs: self._network.call(*inputs)
'''
CPU = DeviceSpec(torch.device('cpu'), 'fp32')
FRAME = UploadedImage(sample_image())
BOXES = np.array([[2, 3, 30, 40], [20, 10, 60, 40]], np.float32)


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads of torch wait for each other where other programs use the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A runtime in a folder of its own, for which files state what it computes wrongly."""
    folder = tmp_path / 'runtime'
    folder.mkdir()
    (folder / 'fake_runtime.py').write_text(textwrap.dedent(SOURCE))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.delitem(__import__('sys').modules, 'fake_runtime', raising=False)
    row = RuntimeRow('fake_runtime', 'Fake', ('torch',), 'fake', {'cpu': ('fp32', 'bf16')})
    monkeypatch.setitem(choice.RUNTIMES, 'fake', row)
    return folder


@pytest.fixture
def only_fake(fake, monkeypatch):
    for name in set(choice.RUNTIMES) - {'fake'}:
        monkeypatch.delitem(choice.RUNTIMES, name)


def features(tiny, **options):
    options = {'runtime': 'fake', **options}
    return build_feature_extractor(str(tiny['features']), device='cpu', **options)


def test_a_runtime_is_a_file_and_a_row(fake, tiny):
    stage = features(tiny)
    expected = build_feature_extractor(str(tiny['features']), device='cpu').extract(FRAME)
    found = [stage.extract(FRAME) for _ in range(6)]
    assert (stage.backend, stage.note) == ('fake fp32', '')
    for one in found:
        np.testing.assert_array_equal(one.patches, expected.patches)
    assert (fake / 'calls').read_text().split() == ['fp32'] * 10, 'the picture: once, and timed'


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


def test_smaller_inputs_are_compared_before_they_are_needed(fake, tiny):
    small = UploadedImage(FRAME.image, small_inputs=True)
    stage = features(tiny, small_inputs=True)
    for _ in range(4):
        stage.extract(FRAME)
    calls = (fake / 'calls').read_text()
    found = stage.extract(small)
    # Nothing is compared or timed any more.
    assert (fake / 'calls').read_text() == f'{calls}fp32 '
    torch_stage = build_feature_extractor(str(tiny['features']), device='cpu')
    np.testing.assert_array_equal(found.patches, torch_stage.extract(small).patches)
    assert stage.note == ''


def test_a_runtime_that_is_wrong_for_smaller_inputs_is_replaced_before_they_are_needed(fake, tiny):
    (fake / 'fp32').write_text('1.01')
    stage = features(tiny)
    width = stage.prepare(UploadedImage(FRAME.image, small_inputs=True)).shape[-1]
    assert width < stage.prepare(FRAME).shape[-1]
    (fake / 'narrow').write_text(str(width))
    stage.extract(FRAME)
    assert (stage.backend, stage.note) == ('fake fp32', '')
    stage = features(tiny, small_inputs=True)
    stage.extract(FRAME)
    assert stage.backend == 'torch fp32'
    assert 'since its outputs differ from those of torch fp32' in stage.note


def test_results_are_compared_as_well_as_raw_outputs(fake, tiny):
    (fake / 'fp32').write_text('1.000015')
    stage = build_depth_estimator(str(tiny['depth']), device='cpu', runtime='fake')
    stage.estimate(FRAME)
    assert stage.backend == 'torch fp32'
    assert 'since its results differ from those of torch fp32 by 1.5e-05' in stage.note


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
    paths = list(compiled_folder().iterdir())
    for path in paths:
        path.write_bytes(path.read_bytes()[:-3])
    stage = features(tiny)
    for _ in range(5):
        stage.extract(FRAME)
    assert stage.backend == 'fake fp32'
    assert all(len(path.read_bytes()) > 40 for path in paths)


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


def test_the_order_of_backends(only_fake, monkeypatch):
    def choose(runtime, *, precision='fp32', given=False, gains=True):
        placement = DeviceSpec(torch.device('cpu'), precision)
        chosen = choose_backends(runtime, placement, is_precision_given=given, gains_by_bf16=gains)
        names = [str(one) for one in chosen.backends]
        return names[: chosen.timed], names[chosen.timed :], chosen.problem

    monkeypatch.setattr(choice, 'has_bf16_instructions', lambda: True)
    every = ['fake bf16', 'fake fp32', 'torch bf16', 'torch fp32']
    assert choose('auto') == (every, [], '')
    assert choose('auto', gains=False) == (['fake fp32', 'torch fp32'], [], '')
    assert choose('auto', given=True) == (['fake fp32', 'torch fp32'], [], '')
    assert choose('auto', given=True, precision='fp16') == (['torch fp16'], [], '')
    assert choose('fake') == (['fake bf16', 'fake fp32'], ['torch fp32'], '')
    assert choose('fake', given=True) == (['fake fp32'], ['torch fp32'], '')
    bf16 = {'given': True, 'precision': 'bf16'}
    assert choose('fake', **bf16) == (['fake bf16'], ['fake fp32', 'torch bf16'], '')
    assert choose('torch') == (['torch bf16', 'torch fp32'], [], '')
    assert choose('torch', given=True) == (['torch fp32'], [], '')
    monkeypatch.setattr(choice, 'has_bf16_instructions', lambda: False)
    assert choose('auto') == (['fake fp32', 'torch fp32'], [], '')
    assert choose('torch') == (['torch fp32'], [], '')
    row = choice.RUNTIMES['fake']._replace(libraries=('torch', 'not_installed'))
    monkeypatch.setitem(choice.RUNTIMES, 'fake', row)
    assert choose('auto') == (['torch fp32'], [], '')
    assert choose('fake') == (
        ['torch fp32'],
        [],
        'not_installed is not installed; install it with pip install "robot_perception[fake]"',
    )


@pytest.mark.parametrize(('speed', 'backend'), [('fast', 'fake fp32'), ('slow', 'torch fp32')])
def test_auto_takes_the_fastest_and_keeps_the_choice(fake, tiny, only_fake, speed, backend):
    (fake / speed).write_text('0.2')
    for start in range(2):
        (fake / 'calls').write_text('')
        stage = build_feature_extractor(str(tiny['features']), device='cpu', runtime='auto')
        stage.extract(FRAME)
        assert (stage.backend, stage.note) == (backend, '')
        calls = len((fake / 'calls').read_text().split())
        assert calls == 4 * (start == 0) + (speed == 'fast')


def test_auto_leaves_out_what_is_wrong_and_names_it_at_every_start(fake, tiny, only_fake):
    (fake / 'fast').touch()
    (fake / 'fp32').write_text('1.01')
    for _ in range(2):
        stage = build_feature_extractor(str(tiny['features']), device='cpu', runtime='auto')
        stage.extract(FRAME)
        assert stage.backend == 'torch fp32'
        assert 'fake fp32 is replaced by torch fp32, since its outputs differ' in stage.note
    assert len((fake / 'calls').read_text().split()) == 1


@pytest.mark.slow
def test_torch_in_bf16_is_chosen_only_where_it_is_faster(tiny, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(choice, 'has_bf16_instructions', lambda: True)
    caplog.set_level('INFO')
    expected = build_depth_estimator(str(tiny['depth']), device='cpu').estimate(FRAME)
    stage = build_depth_estimator(str(tiny['depth']), device='cpu', precision='auto')
    found = stage.estimate(FRAME)
    assert stage.backend in {'torch bf16', 'torch fp32'}
    assert {'torch bf16', 'torch fp32'} == set(re.findall(r'torch \w+', caplog.text))
    np.testing.assert_allclose(found.meters, expected.meters, rtol=0.05)


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


@pytest.fixture(params=['openvino', 'onnxruntime'])
def installed(request, tmp_path, monkeypatch):
    """A runtime that is installed, with an empty cache."""
    for library in choice.RUNTIMES[request.param].libraries:
        pytest.importorskip(library, reason='an extra')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return request.param


@pytest.mark.slow
def test_a_runtime_computes_as_torch(installed, tiny, tmp_path, caplog):
    expected = build_segmenter(str(tiny['segmenter']), device='cpu')
    masks = expected.segment(expected.encode(FRAME), BOXES)
    for start in range(2):
        caplog.clear()
        stage = build_segmenter(str(tiny['segmenter']), device='cpu', runtime=installed)
        found = stage.segment(stage.encode(FRAME), BOXES)
        assert (stage.backend, stage.note) == (f'{installed} fp32', '')
        assert np.mean(found.pixels != masks.pixels) < 1e-3
        np.testing.assert_allclose(found.scores, masks.scores, atol=1e-4)
        assert ('compiling the network' in caplog.text) == (start == 0)
    for path in tmp_path.rglob('*.network'):
        path.write_bytes(path.read_bytes()[:1000])
    stage = build_segmenter(str(tiny['segmenter']), device='cpu', runtime=installed)
    stage.segment(stage.encode(FRAME), BOXES)
    assert stage.backend == f'{installed} fp32'
    assert 'is damaged and is written again' in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(not choice.has_bf16_instructions(), reason='needs arithmetic in bf16')
def test_masks_of_trained_networks_are_right_in_bf16(tmp_path, monkeypatch):
    pytest.importorskip('openvino', reason='an extra')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    options = {'device': 'cpu', 'input_size': 352}
    reference = build_segmenter('demo', precision='fp32', **options)
    stage = build_segmenter('demo', precision='bf16', runtime='openvino', **options)
    difference = compare_stage(stage, reference, (480, 640))
    # Torch in bf16 differs by 0.007 and 0.04.
    assert difference.outputs.overall < 0.02
    assert difference.outputs.row < 0.1


@pytest.mark.slow
def test_another_file_in_place_of_a_compiled_one_is_compiled_again(
    installed, tiny, tmp_path, caplog
):
    for start in range(2):
        stage = features(tiny, runtime=installed)
        stage.extract(FRAME)
        assert (stage.backend, stage.note) == (f'{installed} fp32', '')
        for path in tmp_path.rglob('*.network'):
            content = b'not a network' * 1000
            path.write_bytes(hashlib.sha256(content).digest() + content)
        assert ('cannot be read again' in caplog.text) == (start == 1)


@pytest.mark.slow
def test_an_operator_that_a_runtime_lacks_leaves_the_network_to_torch(
    installed, tiny, monkeypatch
):
    original, root = functional.gelu, logging.getLogger()
    before = root.level, [*root.filters], [*root.handlers]

    def unknown(values, **options):
        return original(values, **options) + 0 * torch.special.airy_ai(values)

    monkeypatch.setattr(functional, 'gelu', unknown)
    stage = features(tiny, runtime=installed)
    found = stage.extract(FRAME)
    assert stage.backend == 'torch fp32'
    assert re.match(rf'features: {installed} fp32 is replaced by torch fp32, since ', stage.note)
    assert 'cannot convert it' in stage.note
    assert np.isfinite(found.vector).all()
    assert (root.level, root.filters, root.handlers) == before


@pytest.mark.slow
def test_stages_of_two_threads_are_compiled(installed, tiny):
    stages = [features(tiny, runtime=installed) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda one: one.extract(FRAME), stages))
    assert [one.note for one in stages] == ['', '']


def test_a_runtime_without_memory_is_replaced(fake, tiny, monkeypatch):
    monkeypatch.setitem(choice.RUNTIMES, 'fake', choice.RUNTIMES['fake']._replace(name='Hungry'))
    stage = features(tiny)
    stage.extract(FRAME)
    assert stage.backend == 'torch fp32'
    assert stage.note == (
        'features: fake fp32 is replaced by torch fp32, since Hungry cannot convert it '
        '(MemoryError: 64 GiB).'
    )


@pytest.mark.parametrize('small_inputs', [False, True])
def test_networks_are_compiled_for_images_of_four_sizes(
    fake, tiny, monkeypatch, caplog, small_inputs
):
    row = choice.RUNTIMES['fake']._replace(name='Compiled')
    monkeypatch.setitem(choice.RUNTIMES, 'fake', row)
    options = {'device': 'cpu', 'precision': 'fp32', 'small_inputs': small_inputs}
    stage = build_depth_estimator(str(tiny['depth']), runtime='fake', **options)
    expected, shapes = build_depth_estimator(str(tiny['depth']), **options), []
    for width in (60, 100, 140, 180, 220):
        assert 'computed with torch' not in caplog.text
        frame = UploadedImage(sample_image(60, width))
        np.testing.assert_allclose(
            stage.estimate(frame).meters, expected.estimate(frame).meters, rtol=1e-5
        )
        for small in {False, small_inputs}:
            inputs = stage.prepare(UploadedImage(frame.image, small_inputs=small))
            shapes.append('x'.join(map(str, inputs.shape)))
    assert stage.backend == 'fake fp32'
    per_size = 2 if small_inputs else 1
    assert set((fake / 'shapes').read_text().split()) == set(shapes[: 4 * per_size])
    assert len(set(shapes)) == 5 * per_size
    assert 'is computed with torch in fp32 for inputs of' in caplog.text


def test_the_providers_of_onnx_runtime():
    cpu = [['CPUExecutionProvider']]
    assert [choose_providers(CPU, [])] == cpu
    gpu = DeviceSpec(torch.device('cuda', 1), 'fp16')
    with pytest.raises(LookupError, match='no provider of cuda:1; install onnxruntime-gpu'):
        choose_providers(gpu, ['CPUExecutionProvider'])
    (name, settings), (second, _) = choose_providers(
        gpu, ['CUDAExecutionProvider', 'TensorrtExecutionProvider']
    )
    assert (name, second) == ('TensorrtExecutionProvider', 'CUDAExecutionProvider')
    assert settings == {'device_id': 1, 'trt_fp16_enable': True}
