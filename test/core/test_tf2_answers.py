"""The transform buffer beside tf2, whose answers data/record_tf2_answers.py has recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robot_perception.core import StampedTransform, TransformBuffer
from robot_perception.core.errors import TransformError

RECORDED = json.loads(
    (Path(__file__).parents[1] / 'data' / 'tf2_answers.json').read_text(encoding='utf-8')
)['histories']
# Errors of tf2_msgs/TF2Error.
TF2_REASONS = {
    1: {'unknown_frame', 'loop'},
    2: {'disconnected'},
    3: {'too_new', 'too_old'},
}


def homogeneous(answer):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(answer[3:]).as_matrix()
    matrix[:3, 3] = answer[:3]
    return matrix


def assert_pose(pose, matrix):
    np.testing.assert_allclose(pose.rotation, matrix[:3, :3], atol=1e-7)
    np.testing.assert_allclose(pose.translation_m, matrix[:3, 3], atol=1e-7)


@pytest.mark.parametrize(
    'steps',
    RECORDED,
)
def test_lookups_agree_with_tf2(steps):
    """Each lookup is recorded in both directions.

    Above a loop tf2 answers one direction only, and here both are answered.
    """
    buffer, lookups = TransformBuffer(), []
    for kind, first, second, stamp_ms, value in steps:
        stamp_ns = stamp_ms * 10**6
        if kind == 'lookup':
            try:
                found = buffer.lookup(first, second, stamp_ns)
            except TransformError as error:
                found = error.reason
            lookups.append((value, found))
        else:
            transform = StampedTransform(
                first, second, stamp_ns, tuple(value[:3]), tuple(value[3:])
            )
            buffer.insert(transform, static=kind == 'static')
    assert lookups
    for pair in zip(lookups[::2], lookups[1::2], strict=True):
        for (answer, found), (inverse, _) in (pair, pair[::-1]):
            if isinstance(answer, list):
                assert_pose(found, homogeneous(answer))
            elif isinstance(inverse, list):
                assert_pose(found, np.linalg.inv(homogeneous(inverse)))
            else:
                assert found in TF2_REASONS[answer]
