"""Scenes of recordings: problems are reported, and scenes come before a later error."""

from bags import generated_frames, write_rgbd_bag
import pytest
from reasons import raises

from robot_perception.bag import iter_scenes, process_stream
from robot_perception.core import SourceError
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.sources import open_source, Source

COUNT = 3


@pytest.fixture
def bag(tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(COUNT))
    return tmp_path / 'bag'


def make_pipeline(**parameters):
    named = {name.replace('__', '.'): value for name, value in parameters.items()}
    return PerceptionPipeline.load(PerceptionConfig.from_preset('stub', named))


def test_an_unknown_gravity_frame_is_reported(bag):
    notes = []
    pipeline = make_pipeline(frames__gravity_frame='nowhere')
    scenes = list(iter_scenes(str(bag), lambda: pipeline, note=notes.append))
    assert len(scenes) == COUNT
    assert len(notes) == COUNT
    for text in notes:
        assert text.startswith(
            "Boxes are aligned with the camera's axes instead of upright in 'no"
        )
        assert "frame 'nowhere': expected one of" in text


def test_a_recording_without_problems_reports_none(bag):
    notes = []
    pipeline = make_pipeline(depth__source='sensor', frames__gravity_frame='base_link')
    scenes = list(iter_scenes(str(bag), lambda: pipeline, note=notes.append))
    assert (len(scenes), notes) == (COUNT, [])


class Broken(Source):
    """A recording that breaks off after its first image, whose depth is on its way."""

    def __init__(self, source):
        self.roles, self.topics, self._source = source.roles, source.topics, source

    def __iter__(self):
        for sample in self._source:
            if sample.role.value == 'depth':
                continue
            yield sample
            if sample.role.value == 'image':
                raise SourceError('cut_off', 'the recording is cut off.')

    def lasting(self):
        return self._source.lasting()

    def close(self):
        self._source.close()


def test_images_that_wait_for_depth_are_processed_before_an_error(bag):
    scenes = []
    with (
        Broken(open_source(str(bag))) as source,
        raises(SourceError, 'cut_off'),
    ):
        scenes.extend(process_stream(make_pipeline(depth__source='sensor'), source))
    assert len(scenes) == 1
