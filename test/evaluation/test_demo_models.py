"""The embedded networks on the demo world; docs/demo_models.md has the figures of 200 scenes."""

import pytest
import torch

from robot_perception.evaluation import Evaluation, EvaluationPipeline, GroundTruth
from robot_perception.pipeline import PerceptionConfig
from robot_perception.world import render

pytestmark = pytest.mark.slow

SEEDS = range(910_000, 910_012)


@pytest.fixture(scope='module')
def figures():
    torch.set_num_threads(1)
    pipeline = EvaluationPipeline.load(PerceptionConfig.from_preset('demo'))
    evaluation = Evaluation()
    for seed in SEEDS:
        frame = render(seed, (480, 640))
        truth = GroundTruth(
            image=frame.image,
            camera=frame.camera,
            depth=frame.depth,
            detections=frame.detections,
            masks=frame.masks(),
            objects=frame.objects(),
            scene_type=frame.scene_type,
        )
        output = pipeline.process(truth)
        evaluation.add(
            output.scene,
            truth,
            candidates=output.candidates,
            true_box_masks=output.true_box_masks,
        )
    return {(row.group, row.name): row.value for row in evaluation.report().rows}


# Well below what 200 scenes give: a dozen of others may be harder.
@pytest.mark.parametrize(
    ('group', 'name', 'floor'),
    [
        ('detector', 'AP50', 0.82),
        ('detector', 'AP', 0.6),
        ('depth', 'delta1', 0.93),
        ('masks', 'IoU, true boxes', 0.8),
        ('masks', 'IoU, predicted boxes', 0.8),
        ('features', 'scene type by nearest neighbour', 0.9),
    ],
)
def test_they_are_good(figures, group, name, floor):
    assert figures[group, name] > floor


@pytest.mark.parametrize(
    ('group', 'name', 'ceiling'),
    [('depth', 'AbsRel', 0.09), ('3D', 'centroid error, median', 8)],
)
def test_they_are_not_far_off(figures, group, name, ceiling):
    assert figures[group, name] < ceiling
