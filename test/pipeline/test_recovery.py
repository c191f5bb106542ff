"""A GPU without memory, as injected errors."""

import numpy as np
import pytest
from reasons import raises

from robot_perception.core import ModelError, PerceptionError
from robot_perception.models import is_fatal, is_out_of_memory
from robot_perception.models.stub import StubDepthEstimator
from robot_perception.pipeline import PerceptionPipeline, Stopwatch

RGB = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
FULL = RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')


@pytest.fixture
def fail(monkeypatch):
    """Make the depth stage raise the errors of a list, one for each call, and count the calls."""
    errors, estimate, calls = [], StubDepthEstimator.estimate, []

    def failing(self, frame):
        calls.append(self)
        if errors:
            raise errors.pop(0)
        return estimate(self, frame)

    monkeypatch.setattr(StubDepthEstimator, 'estimate', failing)
    return errors, calls


@pytest.mark.parametrize(
    'full', [FULL, ModelError('out_of_memory', 'depth: out of memory')], ids=['torch', 'ours']
)
def test_one_lack_of_memory_costs_nothing(fail, full):
    errors, calls = fail
    pipeline = PerceptionPipeline.from_preset('stub')
    errors.append(full)
    assert pipeline.process(RGB).depth is not None
    assert (len(calls), pipeline.notes) == (2, ())


def test_two_move_the_network_to_the_cpu(fail):
    errors, calls = fail
    pipeline = PerceptionPipeline.from_preset('stub')
    errors.extend([FULL, FULL])
    assert pipeline.process(RGB).depth is not None
    assert calls[2] is not calls[1], 'loaded again'
    (note,) = pipeline.notes
    assert note.startswith('depth: the GPU ran out of memory twice, so this network now runs on')


def test_a_network_that_fails_on_the_cpu_too_costs_one_frame(fail):
    errors, _ = fail
    pipeline = PerceptionPipeline.from_preset('stub')
    errors.extend([FULL, FULL, FULL])
    with pytest.raises(RuntimeError, match='out of memory'):
        pipeline.process(RGB)
    assert pipeline.process(RGB).depth is not None
    assert pipeline.notes == ()


def test_a_lost_gpu_has_a_reason_of_its_own(fail):
    errors, calls = fail
    pipeline = PerceptionPipeline.from_preset('stub')
    errors.append(RuntimeError('CUDA error: device-side assert triggered'))
    with raises(ModelError, 'device_lost'):
        pipeline.process(RGB)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ('text', 'fatal', 'full'),
    [
        ('CUDA error: an illegal memory access was encountered', True, False),
        ('CUDA error: out of memory', False, True),
        ('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate', False, True),
        ('cuDNN error: CUDNN_STATUS_EXECUTION_FAILED', True, False),
        ('The size of tensor a (3) must match the size of tensor b (4)', False, False),
    ],
)
def test_kinds_of_errors(text, fatal, full):
    error = RuntimeError(text)
    assert (is_fatal(error), is_out_of_memory(error)) == (fatal, full)


def test_a_resumed_pipeline_goes_on_and_loads_only_the_network_that_hangs(fail):
    _, calls = fail
    pipeline = PerceptionPipeline.from_preset('stub')
    first = pipeline.process(RGB)
    resumed = pipeline.resumed(['depth', 'pipeline'])
    again = resumed.process(RGB)
    assert calls[1] is not calls[0]
    assert np.array_equal(again.depth.meters, first.depth.meters)
    pipeline.resumed(['detector']).process(RGB)
    assert calls[2] is calls[0]


def test_a_cancelled_frame_begins_no_further_stage(fail):
    _, calls = fail
    watch = Stopwatch()
    watch.cancel()
    with raises(PerceptionError, 'cancelled'):
        PerceptionPipeline.from_preset('stub').process(RGB, watch=watch)
    assert not calls
