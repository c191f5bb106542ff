"""Transforms over time, against scipy and closed forms."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from reasons import raises
from scipy.spatial.transform import Rotation, Slerp

from robot_perception.core import Pose, StampedTransform, TransformBuffer
from robot_perception.core.errors import InputError, TransformError
from robot_perception.core.rotation import slerp

SECOND = 10**9
IDENTITY = (0.0, 0.0, 0.0, 1.0)
METERS = st.floats(-100, 100)
VECTORS = st.tuples(METERS, METERS, METERS)
PARTS = st.floats(-1, 1)
QUATERNIONS = (
    st.tuples(PARTS, PARTS, PARTS, PARTS)
    .filter(lambda parts: np.linalg.norm(parts) > 0.1)
    .map(lambda parts: tuple((np.array(parts) / np.linalg.norm(parts)).tolist()))
)


def edge(parent, child, stamp_s=0.0, translation=(0.0, 0.0, 0.0), rotation=IDENTITY):
    return StampedTransform(parent, child, round(stamp_s * SECOND), translation, rotation)


def build_buffer(*moving, static=(), **options):
    buffer = TransformBuffer(**options)
    for item in static:
        buffer.insert(item, static=True)
    for item in moving:
        buffer.insert(item)
    return buffer


def homogeneous(transform):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(transform.rotation_xyzw).as_matrix()
    matrix[:3, 3] = transform.translation_m
    return matrix


def assert_pose(pose, matrix, atol=1e-9):
    np.testing.assert_allclose(pose.rotation, matrix[:3, :3], atol=atol)
    np.testing.assert_allclose(pose.translation_m, matrix[:3, 3], atol=atol)


def x_at(buffer, stamp_s, target='odom', source='base'):
    stamp = None if stamp_s is None else round(stamp_s * SECOND)
    return buffer.lookup(target, source, stamp).vector[0]


def lookup_error(buffer, target, source, stamp_s):
    with pytest.raises(TransformError) as info:
        buffer.lookup(target, source, round(stamp_s * SECOND))
    return info.value


@settings(deadline=None, max_examples=150)
@given(first=QUATERNIONS, second=QUATERNIONS, share=st.floats(0, 1))
def test_slerp_agrees_with_scipy(first, second, share):
    ours = Rotation.from_quat(slerp(first, second, share))
    theirs = Slerp([0, 1], Rotation.from_quat([first, second]))(share)
    half_turn = (Rotation.from_quat(first).inv() * Rotation.from_quat(second)).magnitude()
    if half_turn < np.pi - 1e-6:  # At half a turn both directions are equally short.
        assert (ours.inv() * theirs).magnitude() < 1e-7


@settings(deadline=None, max_examples=60)
@given(
    tree=st.lists(
        st.tuples(st.integers(0, 1000), VECTORS, QUATERNIONS, st.booleans()), min_size=1
    ),
    picks=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
)
def test_lookup_between_any_two_frames_of_a_tree(tree, picks):
    buffer, roots = TransformBuffer(), {'f0': np.eye(4)}
    for number, (draw, translation, rotation, static) in enumerate(tree, start=1):
        parent = f'f{draw % number}'
        item = edge(parent, f'f{number}', 1.0, translation, rotation)
        buffer.insert(item, static=static)
        roots[f'f{number}'] = roots[parent] @ homogeneous(item)
    target, source = (f'f{pick % len(roots)}' for pick in picks)
    expected = np.linalg.inv(roots[target]) @ roots[source]
    for _ in range(2):  # The second lookup of a static chain uses the cache.
        assert_pose(buffer.lookup(target, source, SECOND), expected, atol=1e-7)
        assert_pose(buffer.lookup(source, target, None), np.linalg.inv(expected), atol=1e-7)


@settings(deadline=None, max_examples=60)
@given(
    ends=st.tuples(VECTORS, VECTORS), turns=st.tuples(QUATERNIONS, QUATERNIONS), at=st.floats(2, 3)
)
def test_interpolation_between_two_stamps(ends, turns, at):
    items = [edge('odom', 'base', 2 + n, ends[n], turns[n]) for n in range(2)]
    stamp = round(at * SECOND)
    pose = build_buffer(*reversed(items)).lookup('odom', 'base', stamp)
    share = (stamp - 2 * SECOND) / SECOND
    np.testing.assert_allclose(
        pose.translation_m, (1 - share) * np.array(ends[0]) + share * np.array(ends[1]), atol=1e-9
    )
    turn = Rotation.from_matrix(pose.rotation).as_quat()
    assert abs(turn @ slerp(*turns, share)) == pytest.approx(1, abs=1e-12)


def test_a_camera_on_a_moving_base():
    """Closed form: the base drives along x and turns left by 90 degrees in two seconds."""
    turned = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    buffer = build_buffer(
        edge('odom', 'base', 10, (1.0, 0.0, 0.0)),
        edge('odom', 'base', 12, (3.0, 0.0, 0.0), turned),
        static=[edge('base', 'camera', 0, (0.5, 0.0, 1.0))],
    )
    half = np.pi / 4
    assert buffer.lookup('odom', 'camera', 11 * SECOND).vector == pytest.approx(
        (2 + 0.5 * np.cos(half), 0.5 * np.sin(half), 1.0)
    )


class TestTime:
    BASE = (edge('odom', 'base', 10, (0.0, 0.0, 0.0)), edge('odom', 'base', 12, (4.0, 0.0, 0.0)))

    def test_the_first_and_last_stamps_are_included(self):
        buffer = build_buffer(*self.BASE)
        assert (x_at(buffer, 10), x_at(buffer, 12)) == (0.0, 4.0)

    def test_static_transforms_are_valid_at_all_times(self):
        buffer = build_buffer(static=[edge('odom', 'base', 1e6, (7.0, 0.0, 0.0))])
        assert [x_at(buffer, stamp) for stamp in (0, 5, 2e6, None)] == [7.0] * 4

    def test_too_new_names_the_transform_its_history_and_the_stamp(self):
        buffer = build_buffer(*self.BASE, static=[edge('base', 'camera')])
        error = lookup_error(buffer, 'odom', 'camera', 12.25)
        assert (error.reason, error.is_transient) == ('too_new', True)
        text = str(error)
        assert "'odom' -> 'base'" in text
        assert 'requested at 12.250000 s, 0.250 s after the newest' in text
        assert 'from 10.000000 s to 12.000000 s' in text

    def test_too_old_is_not_transient(self):
        error = lookup_error(build_buffer(*self.BASE), 'odom', 'base', 9.5)
        assert (error.reason, error.is_transient) == ('too_old', False)
        assert '0.500 s before the oldest' in str(error)

    def test_a_single_transform_is_valid_at_its_stamp_only(self):
        buffer = build_buffer(self.BASE[0])
        assert x_at(buffer, 10) == 0.0
        assert lookup_error(buffer, 'odom', 'base', 10.001).reason == 'too_new'

    def test_the_order_of_arrival_does_not_matter(self):
        items = [edge('odom', 'base', n / 10, (float(n * n), 0.0, 0.0)) for n in range(60)]
        shuffled = [items[n] for n in np.random.default_rng(0).permutation(60)]
        ordered, mixed = build_buffer(*items), build_buffer(*shuffled)
        for stamp in np.linspace(0, 5.9, 37):
            assert x_at(mixed, stamp) == x_at(ordered, stamp)

    def test_a_repeated_stamp_has_its_first_transform_before_and_its_last_at_and_after(self):
        """As in tf2, which keeps all of them in a list."""
        repeated = (8.0, 5.0, 6.0)
        buffer = build_buffer(*self.BASE, *(edge('odom', 'base', 12, (x, 0, 0)) for x in repeated))
        assert (x_at(buffer, 11), x_at(buffer, 12)) == (2.0, 6.0)
        buffer.insert(edge('odom', 'base', 14, (10.0, 0.0, 0.0)))
        assert (x_at(buffer, 11), x_at(buffer, 12), x_at(buffer, 13)) == (2.0, 6.0, 8.0)

    def test_transforms_older_than_the_cache_are_removed(self):
        items = [edge('odom', 'base', n, (float(n), 0.0, 0.0)) for n in range(30)]
        buffer = build_buffer(*items, cache_s=10.0)
        # The cache counts from the newest before the last insertion, as in tf2.
        assert x_at(buffer, 18) == 18.0
        assert lookup_error(buffer, 'odom', 'base', 17.9).reason == 'too_old'

    def test_an_edge_rarer_than_the_cache_is_interpolated(self):
        """Localization that publishes only when the robot moves, after 15 s."""
        buffer = build_buffer(
            edge('map', 'odom', 100, (1.0, 0, 0)), edge('map', 'odom', 115, (4.0, 0, 0))
        )
        assert x_at(buffer, 105, 'map', 'odom') == 2.0

    def test_a_restart_of_time_clears_the_history(self):
        again = [edge('odom', 'base', stamp, (9.0, 0.0, 0.0)) for stamp in (1, 1.1)]
        buffer = build_buffer(*self.BASE, *again)
        assert [x_at(buffer, stamp) for stamp in (1, 1.05, 1.1)] == [9.0] * 3
        assert lookup_error(buffer, 'odom', 'base', 11).reason == 'too_new'

    def test_a_late_transform_without_a_stamp_is_ignored(self):
        late = edge('odom', 'base', 0, (9.0, 0.0, 0.0))
        buffer = build_buffer(*self.BASE, late, late, edge('odom', 'base', 13, (6.0, 0, 0)), late)
        assert [x_at(buffer, stamp) for stamp in (11, 12.5, 13, None, 0)] == [2, 5, 6, 6, 6]

    def test_no_stamp_means_the_latest_common_time(self):
        arm = [edge('base', 'arm', n, (0.0, float(n), 0.0)) for n in (11, 12, 13)]
        buffer = build_buffer(*self.BASE, *arm)
        assert buffer.lookup('odom', 'arm', None).vector == pytest.approx((4.0, 12.0, 0.0))

    def test_clear_removes_moving_transforms(self):
        buffer = build_buffer(*self.BASE, static=[edge('base', 'camera', 0, (1.0, 0.0, 0.0))])
        buffer.clear()
        assert x_at(buffer, 11, 'base', 'camera') == 1.0
        assert lookup_error(buffer, 'odom', 'base', 11).reason == 'unknown_frame'

    @pytest.mark.parametrize('cache_s', [0.0, -1.0, float('nan'), float('inf')])
    def test_rejected_cache_lengths(self, cache_s):
        with raises(InputError, 'out_of_range'):
            TransformBuffer(cache_s)


class TestTree:
    def test_a_frame_in_itself_is_the_identity(self):
        assert_pose(TransformBuffer().lookup('camera', '/camera', 5), np.eye(4))

    def test_leading_slashes_are_ignored(self):
        buffer = build_buffer(static=[edge('/odom', '/base', 0, (2.0, 0.0, 0.0))])
        assert x_at(buffer, 0, 'odom', '/base') == 2.0

    def test_an_unknown_frame_is_reported_with_the_known_ones(self):
        error = lookup_error(build_buffer(static=[edge('odom', 'base')]), 'map', 'base', 1)
        assert (error.reason, error.is_transient) == ('unknown_frame', True)
        assert str(error).startswith("frame 'map': expected one of those in TF, which are: ")
        assert 'base, odom.' in str(error)

    def test_disconnected_frames_are_reported_with_their_roots(self):
        buffer = build_buffer(static=[edge('map', 'odom'), edge('mount', 'camera')])
        error = lookup_error(buffer, 'odom', 'camera', 1)
        assert error.reason == 'disconnected'
        assert "the root of 'odom' is 'map', that of 'camera' 'mount'" in str(error)

    def test_a_loop_is_rejected(self):
        loop = [edge('a', 'b'), edge('b', 'c'), edge('c', 'a')]
        buffer = build_buffer(static=[*loop, edge('a', 'd'), edge('b', 'e')])
        error = lookup_error(buffer, 'd', 'e', 1)
        assert (error.reason, error.is_transient) == ('loop', False)
        assert 'a, b, c' in str(error)

    def test_a_loop_above_an_ancestor_does_not_matter(self):
        """Two localizations publish map and odom in opposite directions; the arm is below."""
        buffer = build_buffer(
            static=[
                edge('map', 'odom'),
                edge('odom', 'map'),
                edge('odom', 'base'),
                edge('base', 'camera', 0, (1.0, 0, 0)),
            ]
        )
        assert x_at(buffer, 1, 'base', 'camera') == 1.0
        assert x_at(buffer, 1, 'camera', 'base') == -1.0

    def test_one_message_in_the_wrong_direction_ends_nothing(self):
        chain = [edge('base', 'camera', n / 10, (1.0, 0, 0)) for n in range(100, 120)]
        buffer = build_buffer(*chain[:10], edge('camera', 'base', 10.96, (5.0, 0, 0)), *chain[10:])
        assert {x_at(buffer, n / 20, 'base', 'camera') for n in range(200, 238)} == {1.0}
        assert {x_at(buffer, n / 20, 'camera', 'base') for n in range(200, 238)} == {-1.0}
        assert x_at(buffer, None, 'base', 'camera') == 1.0
        # Of the two edges that are valid at its stamp, tf2 takes that of the source.
        assert x_at(buffer, 10.96, 'base', 'camera') == 1.0
        assert x_at(buffer, 10.96, 'camera', 'base') == 5.0

    def test_frames_above_the_common_ancestor_are_ignored(self):
        buffer = build_buffer(
            edge('map', 'base', 1), static=[edge('base', 'left'), edge('base', 'right')]
        )
        assert buffer.lookup('left', 'right', 900 * SECOND).vector == (0.0, 0.0, 0.0)

    def test_a_child_that_changes_its_parent(self):
        """A cup on the table is grasped at 3 s."""
        buffer = build_buffer(
            edge('table', 'cup', 1, (1.0, 0.0, 0.0)),
            edge('table', 'cup', 2, (1.0, 0.0, 0.0)),
            edge('hand', 'cup', 3, (0.1, 0.0, 0.0)),
            edge('hand', 'cup', 4, (0.1, 0.0, 0.0)),
            static=[
                edge('world', 'table', 0, (10.0, 0, 0)),
                edge('world', 'hand', 0, (20.0, 0, 0)),
            ],
        )
        found = [x_at(buffer, stamp, 'world', 'cup') for stamp in (1.5, 2.5, 3, 3.5)]
        assert found == pytest.approx([11.0, 11.0, 20.1, 20.1])

    def test_a_new_static_transform_replaces_the_old(self):
        buffer = build_buffer(static=[edge('odom', 'base', 0, (1.0, 0.0, 0.0))])
        assert x_at(buffer, 1) == 1.0
        buffer.insert(edge('odom', 'base', 0, (2.0, 0.0, 0.0)), static=True)
        assert x_at(buffer, 1) == 2.0

    def test_a_change_between_static_and_moving_clears_the_history(self):
        buffer = build_buffer(static=[edge('odom', 'base', 0, (1.0, 0.0, 0.0))])
        assert x_at(buffer, 50) == 1.0
        buffer.insert(edge('odom', 'base', 5, (3.0, 0.0, 0.0)))
        assert x_at(buffer, 5) == 3.0
        assert lookup_error(buffer, 'odom', 'base', 50).reason == 'too_new'
        buffer.insert(edge('odom', 'base', 0, (4.0, 0.0, 0.0)), static=True)
        assert x_at(buffer, 50) == 4.0


class TestBadTransforms:
    @pytest.mark.parametrize(
        'rotation', [(0.0,) * 4, (0, 0, 0, np.nan), (0, 0, 0, 1.1), (0, 0, np.inf, 1)]
    )
    def test_rejected_rotations(self, rotation):
        with raises(InputError, 'not_normalized', match="'odom' -> 'base'"):
            edge('odom', 'base', rotation=rotation)

    def test_a_nearly_unit_quaternion_is_normalized(self):
        turned = edge('odom', 'base', rotation=(0.0, 0.0, 0.708, 0.708)).rotation_xyzw
        assert np.linalg.norm(turned) == pytest.approx(1, abs=1e-15)
        assert turned == pytest.approx((0, 0, np.sqrt(0.5), np.sqrt(0.5)))

    @pytest.mark.parametrize('bad', [np.nan, np.inf, -1e300])
    def test_rejected_translations(self, bad):
        with raises(InputError, 'out_of_range'):
            edge('odom', 'base', translation=(0.0, bad, 0.0))

    @pytest.mark.parametrize(('parent', 'child'), [('', 'a'), ('a', ''), ('a', '/a'), ('/', 'a')])
    def test_rejected_frame_ids(self, parent, child):
        with raises(InputError, 'frame_id'):
            edge(parent, child)


def test_identity():
    assert_pose(Pose.identity(), np.eye(4))
