"""Work that is asked for later, and a pipeline that does some of it meanwhile."""

import threading
import time

import numpy as np
import pytest

from robot_perception import PerceptionPipeline
from robot_perception.core.errors import ModelError
from robot_perception.models.stub import (
    StubDepthEstimator,
    StubDetector,
    StubFeatureExtractor,
    StubSegmenter,
)
from robot_perception.pipeline import PerceptionConfig
from robot_perception.pipeline.side_by_side import OneByOne, SecondThread
from robot_perception.world import render

PATIENCE_S = 10


def test_one_by_one_works_when_asked_and_once():
    calls = []
    with OneByOne()() as begin:
        asked = begin(lambda: calls.append('asked') or 'answer')
        begin(lambda: calls.append('never'))
        assert calls == []
        assert (asked(), asked()) == ('answer', 'answer')
    assert calls == ['asked']


def test_a_second_thread_works_at_once_and_in_order():
    here, order = threading.get_ident(), []
    with SecondThread()() as begin:
        first = begin(lambda: order.append('first') or threading.get_ident())
        second = begin(lambda: order.append('second') or threading.get_ident())
        assert second() == first() != here
    assert order == ['first', 'second']


def test_an_error_comes_to_who_asks():
    aside = SecondThread()
    with aside() as begin:
        result = begin(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            result()
    with aside() as begin:
        assert begin(lambda: 'goes on')() == 'goes on'


def test_nothing_goes_on_after_the_end():
    aside, begun, go_on = SecondThread(), threading.Event(), threading.Event()
    done = []

    def work():
        begun.set()
        go_on.wait(PATIENCE_S)
        done.append('begun')

    def fail():
        with aside() as begin:
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


def test_depth_and_encoding_do_not_wait_for_the_detector():
    """Each waits for the other, so that one after the other would never end."""
    met = threading.Barrier(2, timeout=PATIENCE_S)

    class Depth(StubDepthEstimator):
        def estimate(self, frame):
            met.wait()
            time.sleep(0.2)
            return super().estimate(frame)

    class Detector(StubDetector):
        def detect(self, frame, **settings):
            met.wait()
            time.sleep(0.2)
            return super().detect(frame, **settings)

    scene = stubs(depth=Depth(), detector=Detector()).process(np.zeros((48, 64, 3), np.uint8))
    assert scene.depth is not None
    *stages_s, whole_s = scene.timing_s.values()
    assert whole_s < sum(stages_s)


def test_masks_wait_for_the_encoding():
    class Segmenter(StubSegmenter):
        encoded_in = None

        def encode(self, frame):
            threading.Event().wait(0.1)
            self.encoded_in = threading.get_ident()

        def segment(self, frame, boxes_xyxy):
            assert self.encoded_in not in {None, threading.get_ident()}
            return super().segment(frame, boxes_xyxy)

    assert len(stubs(segmenter=Segmenter()).process(np.zeros((48, 64, 3), np.uint8)).masks)


def test_a_network_that_fails_beside_fails_the_frame_alone():
    class Depth(StubDepthEstimator):
        fails = True

        def estimate(self, frame):
            if self.fails:
                raise ModelError('depth: expected finite numbers, got NaN.')
            return super().estimate(frame)

    depth = Depth()
    pipeline = stubs(depth=depth)
    with pytest.raises(ModelError, match='finite numbers'):
        pipeline.process(np.zeros((48, 64, 3), np.uint8))
    depth.fails = False
    assert pipeline.process(np.zeros((48, 64, 3), np.uint8)).depth is not None


def test_what_runs_beside_gives_the_same():
    frame = render(900001, (240, 320))
    one, other = (
        PerceptionPipeline.from_preset('demo', {'parallel': parallel, 'device': 'cpu'}).process(
            frame.image, frame.camera
        )
        for parallel in (False, True)
    )
    assert len(one.objects) == len(other.objects) > 0
    for part in ('features.vector', 'depth.metres', 'detections.boxes_xyxy', 'masks.pixels'):
        outer, inner = part.split('.')
        values = (getattr(getattr(scene, outer), inner) for scene in (one, other))
        np.testing.assert_array_equal(*values, err_msg=part)
    assert [repr(thing) for thing in one.objects] == [repr(thing) for thing in other.objects]
