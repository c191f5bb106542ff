"""Conversion of transforms of all message libraries."""

import math

import pytest

from robot_perception import conversions
from robot_perception.conversions import ros
from robot_perception.core import StampedTransform

HALF = math.sqrt(0.5)


def stamped(factory, parent, child, sec=12, nanosec=5, translation=(1.0, 2.0, 3.0), **rotation):
    turn = {'x': 0.0, 'y': 0.0, 'z': HALF, 'w': HALF} | rotation
    stamp = factory(ros.Time, sec=sec, nanosec=nanosec)
    x, y, z = translation
    return factory(
        ros.TransformStamped,
        header=factory(ros.Header, stamp=stamp, frame_id=parent),
        child_frame_id=child,
        transform=factory(
            ros.Transform,
            translation=factory(ros.Vector3, x=x, y=y, z=z),
            rotation=factory(ros.Quaternion, **turn),
        ),
    )


def build_message(factory, *transforms):
    return factory(ros.TFMessage, transforms=list(transforms))


def test_transforms_are_read(factory, on_the_wire):
    sent = [stamped(factory, 'map', 'odom'), stamped(factory, '/odom', 'base', w=-HALF)]
    read = conversions.to_transforms(on_the_wire(build_message(factory, *sent)))
    stamp_ns = 12 * 10**9 + 5
    assert read.faults == ()
    first, second = read.transforms
    assert first == StampedTransform('map', 'odom', stamp_ns, (1, 2, 3), (0, 0, HALF, HALF))
    assert (second.parent, second.child) == ('odom', 'base')
    assert second.rotation_xyzw == pytest.approx((0, 0, HALF, -HALF))


def test_an_invalid_transform_does_not_affect_the_others(factory, on_the_wire):
    bad = [
        stamped(factory, 'map', 'map'),
        stamped(factory, '', 'odom'),
        stamped(factory, 'map', 'odom', z=0.0, w=0.0),
        stamped(factory, 'map', 'odom', x=math.nan),
        stamped(factory, 'map', 'odom', translation=(math.inf, 0.0, 0.0)),
        stamped(factory, 'map', 'odom', sec=-1),
        stamped(factory, 'map', 'o' * 5000),
    ]
    good = stamped(factory, 'odom', 'base')
    read = conversions.to_transforms(on_the_wire(build_message(factory, *bad, good)))
    assert [item.child for item in read.transforms] == ['base']
    assert len(read.faults) == len(bad)
    assert 'unit quaternion' in read.faults[2]
    assert 'stamp' in read.faults[5]
    assert 'child_frame_id: expected text of at most 4096 characters' in read.faults[6]


def test_an_empty_message_has_no_transforms(factory, on_the_wire):
    assert conversions.to_transforms(on_the_wire(build_message(factory))) == ((), ())
