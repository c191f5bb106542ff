"""Work that is asked for later, and a pipeline that does some of it meanwhile."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from robot_perception import PerceptionPipeline
from robot_perception.core import Detections
from robot_perception.core.errors import ModelError
from robot_perception.models.stub import (
    StubDepthEstimator,
    StubDetector,
    StubFeatureExtractor,
    StubSegmenter,
)
from robot_perception.models.uploaded_image import UploadedImage
from robot_perception.pipeline import PerceptionConfig
from robot_perception.pipeline.deferred import lazy_execution, threaded_execution
from robot_perception.world import render

PATIENCE_S = 10


def test_lazy_execution_works_when_asked():
    calls = []
    with lazy_execution() as begin:
        asked = begin(lambda: calls.append('asked') or 'answer')
        begin(lambda: calls.append('never'))
        assert calls == []
        assert asked() == 'answer'
    assert calls == ['asked']


def test_side_by_side_works_at_once_and_in_order_on_a_thread_that_ends():
    here, order = threading.current_thread(), []
    with threaded_execution() as begin:
        first = begin(lambda: order.append('first') or threading.current_thread())
        second = begin(lambda: order.append('second') or threading.current_thread())
        there = second()
        assert there is first()
        assert there is not here
    assert order == ['first', 'second']
    assert not there.is_alive()


def test_an_error_comes_to_who_asks():
    with threaded_execution() as begin:
        failed, fine = begin(lambda: 1 / 0), begin(lambda: 'goes on')
        with pytest.raises(ZeroDivisionError):
            failed()
        assert fine() == 'goes on'


def test_an_error_without_a_reader_is_raised_at_the_end():
    reached = []
    with pytest.raises(ZeroDivisionError), threaded_execution() as begin:  # noqa: PT012
        begin(lambda: 1 / 0)
        reached.append('end')
    assert reached == ['end']


def test_nothing_goes_on_after_the_end():
    begun, go_on = threading.Event(), threading.Event()
    done = []

    def work():
        begun.set()
        go_on.wait(PATIENCE_S)
        done.append('begun')

    def fail():
        with threaded_execution() as begin:
            begin(work)
            begin(lambda: done.append('not begun'))
            assert begun.wait(PATIENCE_S)
            threading.Timer(0.1, go_on.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert done == ['begun']


def stubs(**networks):
    networks = {
        'features': StubFeatureExtractor(),
        'depth': StubDepthEstimator(),
        'detector': StubDetector(),
        'segmenter': StubSegmenter(),
        **networks,
    }
    config = PerceptionConfig.from_preset('stub', {'parallel': True})
    return PerceptionPipeline(config, **networks)


BLACK = np.zeros((48, 64, 3), np.uint8)


class Meeting:
    """Of two networks each waits until the other runs, so that one after the other never ends."""

    def __init__(self):
        self.barrier = threading.Barrier(2, timeout=PATIENCE_S)

    def come(self):
        self.barrier.wait()
        time.sleep(0.2)


def test_encoding_does_not_wait_for_the_detector():
    meeting, encoded_in = Meeting(), []

    class Segmenter(StubSegmenter):
        def encode(self, frame):
            meeting.come()
            encoded_in.append(threading.get_ident())
            return super().encode(frame)

        def segment(self, embedding, boxes_xyxy):
            assert encoded_in == [threading.get_ident()]
            return super().segment(embedding, boxes_xyxy)

    class Detector(StubDetector):
        def detect(self, frame, **settings):
            meeting.come()
            assert not encoded_in or encoded_in != [threading.get_ident()]
            return super().detect(frame, **settings)

    scene = stubs(segmenter=Segmenter(), detector=Detector()).process(BLACK)
    assert len(scene.masks) == len(scene.detections) > 0
    *stages_s, whole_s = scene.timing_s.values()
    assert whole_s < sum(stages_s)


@pytest.mark.parametrize('other', ['segmenter', 'features'])
def test_masks_and_features_do_not_wait_for_depth(other):
    meeting = Meeting()

    class Depth(StubDepthEstimator):
        def estimate(self, frame):
            meeting.come()
            return super().estimate(frame)

    class Segmenter(StubSegmenter):
        def segment(self, embedding, boxes_xyxy):
            meeting.come()
            return super().segment(embedding, boxes_xyxy)

    class Features(StubFeatureExtractor):
        def extract(self, frame):
            meeting.come()
            return super().extract(frame)

    network = {'segmenter': Segmenter, 'features': Features}[other]()
    scene = stubs(depth=Depth(), **{other: network}).process(BLACK)
    assert scene.features is not None
    assert scene.depth is not None
    assert len(scene.masks) > 0


@pytest.mark.parametrize('parallel', [False, True])
def test_without_objects_there_are_masks_of_none(parallel):
    encoded = []

    class Detector(StubDetector):
        def detect(self, frame, **settings):
            return Detections.empty()

    class Segmenter(StubSegmenter):
        def encode(self, frame):
            encoded.append(frame)
            return super().encode(frame)

    pipeline = stubs(detector=Detector(), segmenter=Segmenter())
    pipeline.reconfigure(PerceptionConfig.from_preset('stub', {'parallel': parallel}))
    scene = pipeline.process(BLACK)
    assert (len(scene.masks), scene.masks.size_hw) == (0, (48, 64))
    assert 'segmenter' in scene.timing_s
    assert len(encoded) == parallel, 'encoded for nothing'


class Failing:
    """A stub that fails while a flag is set."""

    fails = True

    def fail(self):
        if self.fails:
            raise ModelError(
                'not_finite', f'{type(self).__name__}: expected finite numbers, got NaN.'
            )


class FailingDepth(Failing, StubDepthEstimator):
    def estimate(self, frame):
        self.fail()
        return super().estimate(frame)


class FailingDetector(Failing, StubDetector):
    def detect(self, frame, **settings):
        self.fail()
        return super().detect(frame, **settings)


class FailingSegmenter(Failing, StubSegmenter):
    def encode(self, frame):
        self.fail()
        return super().encode(frame)


@pytest.mark.parametrize(
    ('name', 'network'),
    [('depth', FailingDepth), ('detector', FailingDetector), ('segmenter', FailingSegmenter)],
)
def test_a_network_that_fails_fails_the_frame_alone_and_frees_it(name, network, monkeypatch):
    network, images = network(), []
    pipeline = stubs(**{name: network})

    class Watched(UploadedImage):
        def __init__(self, image, **options):
            super().__init__(image, **options)
            images.append(weakref.ref(self))

    monkeypatch.setattr('robot_perception.pipeline.pipeline.UploadedImage', Watched)
    gc.disable()
    try:
        with pytest.raises(ModelError, match='finite numbers') as raised:
            pipeline.process(BLACK)
        del raised
        assert images.pop()() is None
    finally:
        gc.enable()
    network.fails = False
    scene = pipeline.process(BLACK)
    assert (scene.depth is not None, len(scene.masks)) == (True, 3)


def test_skipped_stages_stay_skipped_beside_others():
    pipeline = stubs()
    pipeline.reconfigure(
        PerceptionConfig.from_preset(
            'stub', {'parallel': True, 'depth.every_k': 2, 'segmenter.every_k': 3}
        )
    )
    scenes = [pipeline.process(BLACK) for _ in range(4)]
    assert [scene.depth is not None for scene in scenes] == [True, False, True, False]
    assert [scene.masks is not None for scene in scenes] == [True, False, False, True]


@pytest.mark.slow
def test_what_runs_beside_gives_the_same():
    frame = render(900001, (240, 320))
    one, other = (
        PerceptionPipeline.from_preset('demo', {'parallel': parallel, 'device': 'cpu'}).process(
            frame.image, frame.camera
        )
        for parallel in (False, True)
    )
    assert len(one.objects) == len(other.objects) > 0
    for part in ('features.vector', 'depth.meters', 'detections.boxes_xyxy', 'masks.pixels'):
        outer, inner = part.split('.')
        values = (getattr(getattr(scene, outer), inner) for scene in (one, other))
        np.testing.assert_array_equal(*values, err_msg=part)
    assert [repr(item) for item in one.objects] == [repr(item) for item in other.objects]
