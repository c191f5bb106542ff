"""Conversion of detections to vision_msgs."""

from dataclasses import replace

import numpy as np
import pytest

from robot_perception.conversions import detections_2d_message, detections_3d_message
from robot_perception.core import Box3D, Detections, ObjectPosition, SceneObject

TILTED = (0.0, 0.6, 0.0, 0.8)
COVARIANCE = np.array([[4.0, 1, 2], [1, 5, 3], [2, 3, 6]]) * 1e-4


def detections(track_ids=None):
    return Detections(
        np.array([[10, 20, 40, 30], [0, 0, 1, 1]], np.float32),
        np.array([0.75, 0.25], np.float32),
        np.array([41, 3], np.int32),
        ('cup', 'traffic light'),
        None if track_ids is None else np.array(track_ids, np.int64),
    )


def an_object(index, *, placed=True, track_id=None):
    position = ObjectPosition(
        depth_m=1.5,
        centroid_m=(0.1, 0.2, 1.5),
        points_covariance_m2=np.eye(3),
        covariance_m2=COVARIANCE,
        box=Box3D((0.15, 0.25, 1.55), (0.3, 0.4, 0.5), TILTED),
    )
    return SceneObject(
        index, 41, 'cup', 0.75, (10, 20, 40, 30), track_id, position if placed else None
    )


def test_boxes_are_center_and_size_in_pixels(factory, header, on_the_wire):
    message = on_the_wire(detections_2d_message(factory, header, detections()))
    assert message.header == header
    assert [one.header for one in message.detections] == [header, header]
    first = message.detections[0]
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (25.0, 25.0)
    assert (first.bbox.size_x, first.bbox.size_y, first.bbox.center.theta) == (30.0, 10.0, 0.0)
    results = [one.results for one in message.detections]
    assert [len(result) for result in results] == [1, 1]
    assert [result[0].hypothesis.class_id for result in results] == ['cup', 'traffic light']
    assert [result[0].hypothesis.score for result in results] == [0.75, 0.25]
    assert results[0][0].pose.pose.orientation.w == 1.0
    assert not np.any(results[0][0].pose.covariance)


@pytest.mark.parametrize(
    ('track_ids', 'expected'), [(None, ['', '']), ([7, 2**40], ['7', str(2**40)])]
)
def test_tracks_are_ids(factory, header, on_the_wire, track_ids, expected):
    message = on_the_wire(detections_2d_message(factory, header, detections(track_ids)))
    assert [one.id for one in message.detections] == expected


def test_no_detections_are_a_message(factory, header, on_the_wire):
    for message in (
        detections_2d_message(factory, header, Detections.empty()),
        detections_3d_message(factory, header, []),
    ):
        assert len(on_the_wire(message).detections) == 0


def test_objects_in_space(factory, header, on_the_wire):
    objects = [an_object(0), an_object(1, placed=False), an_object(2, track_id=9)]
    message = on_the_wire(detections_3d_message(factory, header, objects))
    assert message.header == header
    assert [one.id for one in message.detections] == ['', '9']
    first = message.detections[0]
    assert first.header == header
    center, size = first.bbox.center, first.bbox.size
    assert (center.position.x, center.position.y, center.position.z) == (0.15, 0.25, 1.55)
    assert (size.x, size.y, size.z) == (0.3, 0.4, 0.5)
    result = first.results[0]
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('cup', 0.75)
    position, rotation = result.pose.pose.position, result.pose.pose.orientation
    assert (position.x, position.y, position.z) == (0.1, 0.2, 1.5)
    for quaternion in (rotation, center.orientation):
        assert (quaternion.x, quaternion.y, quaternion.z, quaternion.w) == TILTED
    covariance = np.reshape(result.pose.covariance, (6, 6))
    np.testing.assert_array_equal(covariance[:3, :3], COVARIANCE)
    # Any angle is as likely as any other: variance of a uniform distribution over a full rotation.
    np.testing.assert_allclose(covariance[3:, 3:], np.eye(3) * (2 * np.pi) ** 2 / 12)
    assert not np.any(covariance[:3, 3:])


def test_an_unknown_covariance_is_not_zero(factory, header, on_the_wire):
    item = an_object(0)
    unknown = replace(item, position=replace(item.position, covariance_m2=None))
    message = on_the_wire(detections_3d_message(factory, header, [unknown]))
    covariance = np.reshape(message.detections[0].results[0].pose.covariance, (6, 6))
    assert np.isnan(covariance[:3, :3]).all()
    assert np.isfinite(covariance[3:]).all()
