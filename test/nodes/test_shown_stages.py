"""Stages of frames at work, as another process receives them."""

import pytest

pytest.importorskip('rclpy')

from robot_perception.nodes.shown_stages import ShownStages
from robot_perception.pipeline import Stopwatch


def test_the_stages_of_a_frame_and_of_the_outputs_of_the_one_before_are_shown_together():
    shown = []
    stages = ShownStages(lambda names: shown.append(list(names)))
    outputs, networks = (Stopwatch(stages.of_frame()) for _ in range(2))
    with outputs.stage('publish'):
        with networks.stage('depth'):
            assert shown[-1] == ['depth', 'publish']
        assert shown[-1] == ['publish']
        with networks.stage('detector'):
            assert shown[-1] == ['detector', 'publish']
            outputs.cancel()
            assert shown[-1] == ['detector']
    assert shown[-1] == []
