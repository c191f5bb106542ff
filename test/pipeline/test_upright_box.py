"""Upright boxes: closed forms at any pitch, and the exact ground truth of the demo world."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from reasons import raises

from robot_perception.core import Box3D
from robot_perception.core.errors import InputError
from robot_perception.core.rotation import matrix_to_quaternion, quaternion_to_matrix
from robot_perception.evaluation.box_overlap import box_iou
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.pipeline.lifting import lift_objects
from robot_perception.pipeline.upright_box import upright_box
from robot_perception.world import render

ANGLES = st.floats(-np.pi, np.pi)


def rotation(axis, angle):
    half = angle / 2
    quaternion = [0.0, 0.0, 0.0, np.cos(half)]
    quaternion[axis] = np.sin(half)
    return quaternion_to_matrix(tuple(quaternion))


def surface(size, count=4000, seed=0):
    """Return points on the faces of a box around the origin."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.5, 0.5, (count, 3))
    face = rng.integers(0, 3, count)
    points[np.arange(count), face] = np.sign(points[np.arange(count), face]) / 2
    return points * size


@given(pitch=ANGLES, roll=ANGLES, heading=ANGLES)
@settings(deadline=None, max_examples=80)
def test_the_box_does_not_depend_on_the_pitch_of_the_camera(pitch, roll, heading):
    size = np.array([0.3, 0.1, 0.2])
    camera = rotation(0, pitch) @ rotation(2, roll)
    points = surface(size) @ rotation(2, heading).T @ camera.T + (0.1, -0.2, 1.5)
    found = upright_box(points, camera @ (0, 0, 1))
    true = Box3D(
        (0.1, -0.2, 1.5), tuple(size), matrix_to_quaternion(camera @ rotation(2, heading))
    )
    assert box_iou(found, true) > 0.97
    np.testing.assert_allclose(
        quaternion_to_matrix(found.rotation_xyzw)[:, 2], camera[:, 2], atol=1e-9
    )


@given(
    width=st.floats(0.05, 0.4),
    depth=st.floats(0.05, 0.4),
    heading=ANGLES,
    noise_m=st.sampled_from([0.0, 0.002]),
)
@settings(deadline=None, max_examples=80)
def test_two_sides_are_enough_for_the_heading(width, depth, heading, noise_m):
    """Of a box at the height of the camera, a rectangle along the diagonal is as small."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (3000, 3))
    first = rng.random(3000) < width / (width + depth)
    points[first, 1] = points[~first, 0] = -0.5
    points *= (width, depth, 0.2)
    points[first, 1] += rng.normal(0, noise_m, first.sum())
    points[~first, 0] += rng.normal(0, noise_m, (~first).sum())
    found = upright_box(points @ rotation(2, heading).T, np.array([0.0, 0.0, 1.0]))
    true = Box3D((0.0, 0.0, 0.0), (width, depth, 0.2), matrix_to_quaternion(rotation(2, heading)))
    # Of a side with few points, a sixteenth at each end looks like outliers.
    few = min(width, depth) / (width + depth) < 0.25
    assert box_iou(found, true) > (0.7 if noise_m else 0.87 if few else 0.93)


def test_outliers_do_not_stretch_a_box():
    size = np.array([0.3, 0.1, 0.2])
    outliers = np.random.default_rng(1).uniform(-2, 2, (40, 3))
    found = upright_box(np.concatenate([surface(size), outliers]), np.array([0.0, 0.0, 1.0]))
    assert box_iou(found, Box3D((0.0, 0.0, 0.0), tuple(size))) > 0.85


@pytest.mark.parametrize('count', [1, 2, 3])
def test_one_to_three_points_have_a_box(count):
    points = np.array([[0, 0, 1], [0.1, 0, 1], [0.2, 0, 1]])[:count]
    box = upright_box(points, np.array([0.0, -1.0, 0.0]))
    assert min(box.size_m) == 0
    assert np.isfinite([*box.center_m, *box.size_m, *box.rotation_xyzw]).all()


@given(axis=st.sampled_from([0, 1, 2]), angle=ANGLES)
@settings(deadline=None)
def test_matrix_and_quaternion_are_one_rotation(axis, angle):
    matrix = rotation(axis, angle)
    np.testing.assert_allclose(
        quaternion_to_matrix(matrix_to_quaternion(matrix)), matrix, atol=1e-12
    )


@pytest.mark.slow
def test_upright_boxes_fit_boxes_and_books_of_the_demo_world():
    # On a shelf only the spine of a book is visible, so its depth is unknown.
    upright, aligned = [], []
    for seed in range(900_000, 900_014):
        frame = render(seed, (120, 160))
        if frame.scene_type == 'shelf':
            continue
        found, masks = frame.detections, frame.masks()
        up = frame.world_from_camera.rotation[2]
        visible = [
            index
            for index, name in enumerate(found.class_names)
            if name in {'box', 'book'} and found.scores[index] > 0.8
        ]
        for overlaps, direction in ((upright, up), (aligned, None)):
            positions = lift_objects(found, masks, frame.depth, frame.camera, direction)
            overlaps += [box_iou(positions[index].box, frame.boxes_3d[index]) for index in visible]
    assert len(upright) >= 6
    assert np.median(upright) > 0.85
    assert np.median(aligned) < 0.7


@pytest.mark.parametrize('up', [(0, 0, 0), (np.nan, 0, 1), (np.inf, 0, 0)])
def test_invalid_directions_are_rejected(up):
    pipeline = PerceptionPipeline.from_preset('stub')
    with raises(InputError, 'no_direction'):
        pipeline.process(np.zeros((48, 64, 3), np.uint8), gravity_up=up)
