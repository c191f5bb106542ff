"""Lines that describe what computes each stage."""

from dataclasses import replace

from scenes import example_scene

from robot_perception.pipeline import BackendReport


def test_each_stage_is_described_at_its_second_frame_and_after_a_change():
    scene = replace(
        example_scene(0),
        timing_s={'depth': 0.05, 'detector': 0.0123},
        backends={'depth': 'torch fp32', 'detector': 'openvino fp32'},
    )
    detector_only = replace(scene, backends={'detector': 'openvino fp32'})
    changed = replace(scene, backends={'detector': 'torch fp32'})
    report = BackendReport()
    lines = [list(report.add(one)) for one in (scene, detector_only, scene, scene)]
    assert lines == [[], ['detector: openvino fp32, 12 ms'], ['depth: torch fp32, 50 ms'], []]
    assert [list(report.add(changed)) for _ in range(2)] == [[], ['detector: torch fp32, 12 ms']]
