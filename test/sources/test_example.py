"""The example recording against a ray-caster and a geometry that know nothing of it."""

import hashlib

import numpy as np
import pytest

from robot_perception.core.errors import OutputError
from robot_perception.sources import open_source, Role
from robot_perception.sources.example import CAMERA, example_frames, FRAME_ID, write_example_bag
from robot_perception.sources.messages import standard_types

# The scene once more, in words: a camera 0.6 m above a floor, looking 0.35 rad down.
HEIGHT_M, PITCH_RAD, FAR_M = 0.6, 0.35, 6.0
DOWN = np.array([0.0, np.cos(PITCH_RAD), np.sin(PITCH_RAD)])
SIDE = np.array([1.0, 0.0, 0.0])


@pytest.fixture(scope='module')
def frames():
    return list(example_frames(11))


@pytest.fixture(scope='module')
def truth(frames):
    """Depth of the first frame, by Embree from meshes."""
    o3d = pytest.importorskip('open3d')
    scene = o3d.t.geometry.RaycastingScene()
    for center, radius in zip(frames[0].centers_m, frames[0].radii_m, strict=True):
        ball = o3d.geometry.TriangleMesh.create_sphere(radius, resolution=200)
        ball.translate(center)
        scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(ball))
    along = np.cross(SIDE, DOWN)
    corners = [HEIGHT_M * DOWN + 50 * (a * SIDE + b * along) for a in (-1, 1) for b in (-1, 1)]
    scene.add_triangles(
        o3d.core.Tensor(np.array(corners, np.float32)),
        o3d.core.Tensor(np.array([[0, 1, 2], [1, 2, 3]], np.uint32)),
    )
    rows, columns = np.mgrid[0:480, 0:640]
    forward = np.ones((480, 640))
    rays = np.stack(
        [0 * rows, 0 * rows, 0 * rows, (columns - 319.5) / 525, (rows - 239.5) / 525, forward], -1
    )
    hit = scene.cast_rays(o3d.core.Tensor(rays.astype(np.float32)))
    metres = hit['t_hit'].numpy()
    return metres, hit['geometry_ids'].numpy()


def points_of(frame):
    return np.dstack([CAMERA.rays(), np.ones(CAMERA.size_hw)]) * frame.depth.metres[..., None]


def test_depth_is_that_of_a_ray_caster(frames, truth):
    metres, _ = truth
    got = frames[0].depth.metres
    known = metres <= FAR_M
    # Facets differ from a ball on its rim alone.
    assert np.mean(np.isfinite(got) == known) > 0.9999
    both = np.isfinite(got) & known
    error = np.abs(got[both] - metres[both])
    assert np.mean(error < 5e-4) > 0.9995
    assert np.median(error) < 1e-5


def test_the_scene_has_balls_floor_and_sky(truth):
    metres, hit = truth
    for ball in range(3):
        assert np.sum(hit == ball) > 3000
    assert np.sum((hit == 3) & (metres <= FAR_M)) > 100_000
    assert np.sum(~(metres <= FAR_M)) > 10_000


def test_colors_belong_to_what_the_ray_hits(frames, truth):
    metres, hit = truth
    rgb = frames[0].rgb.astype(int)
    floor = (hit == 3) & (metres < FAR_M - 0.1)
    # Two kinds of tiles, both nearly grey.
    assert len(np.unique(rgb[floor], axis=0)) == 2
    assert np.all(np.ptp(rgb[floor], axis=-1) < 15)
    strongest = [set(rgb[hit == ball].argmax(axis=-1).tolist()) for ball in range(3)]
    # Red, blue and a yellow that is mostly red.
    assert strongest == [{0}, {2}, {0}]


def test_balls_lie_on_the_floor(frames):
    for frame in frames:
        above = HEIGHT_M - frame.centers_m @ DOWN
        np.testing.assert_allclose(above, frame.radii_m, rtol=1e-12)


@pytest.mark.parametrize('index', [0, 5, 10])
def test_the_nearest_point_of_a_ball_lies_on_the_ray_to_its_center(frames, index):
    frame = frames[index]
    for center, radius in zip(frame.centers_m, frame.radii_m, strict=True):
        column, row = np.rint(CAMERA.project(center)).astype(int)
        distance = np.linalg.norm(center)
        point = points_of(frame)[row, column]
        # Half a pixel beside that ray the distance is longer by the square of the angle.
        assert np.linalg.norm(point) == pytest.approx(distance - radius, abs=2e-5)


@pytest.mark.parametrize('index', [0, 10])
def test_every_point_lies_on_the_floor_or_on_a_ball(frames, index):
    frame = frames[index]
    points = points_of(frame)[np.isfinite(frame.depth.metres)]
    gaps = [np.abs(points @ DOWN - HEIGHT_M)]
    for center, radius in zip(frame.centers_m, frame.radii_m, strict=True):
        gaps.append(np.abs(np.linalg.norm(points - center, axis=-1) - radius))
    assert np.min(gaps, axis=0).max() < 1e-5


def test_nothing_is_known_beyond_six_metres(frames):
    for frame in frames:
        metres = frame.depth.metres
        assert 5.9 < np.nanmax(metres) <= FAR_M
        assert np.isnan(metres).any()
        assert metres.dtype == np.float32


def test_the_camera_moves_evenly(frames):
    assert [frame.stamp_ns for frame in frames[:3]] == [
        1_000_000_000,
        1_100_000_000,
        1_200_000_000,
    ]
    for index, frame in enumerate(frames):
        np.testing.assert_allclose(
            frame.centers_m - frames[0].centers_m,
            np.tile([-0.01 * index, 0, 0], (3, 1)),
            atol=1e-12,
        )


def test_the_world_stands_still(frames, truth):
    """A spot of the floor has the same colour a second later, a tenth of a metre further left."""
    _, hit = truth
    first, last = frames[0], frames[10]
    spots = points_of(first)[300::7, 100::7].reshape(-1, 3)
    on_floor = (hit[300::7, 100::7] == 3).ravel()
    pixels = np.rint(CAMERA.project(spots - np.array([0.1, 0, 0]))).astype(int)
    inside = on_floor & (pixels[:, 0] >= 0)
    columns, rows = pixels[inside].T
    # Where a ball has come between, the depth tells.
    seen = np.abs(last.depth.metres[rows, columns] - spots[inside, 2]) < 0.02
    before = first.rgb[300::7, 100::7].reshape(-1, 3)[inside][seen]
    after = last.rgb[rows, columns][seen]
    assert len(before) > 1000
    # Pixels across the edge of a tile differ.
    assert np.mean(np.all(before == after, axis=-1)) > 0.97


def test_the_same_recording_every_time(frames):
    def digest(made):
        sums = [
            hashlib.sha256(frame.rgb.tobytes() + frame.depth.metres.tobytes()) for frame in made
        ]
        return [one.hexdigest() for one in sums]

    again = digest(example_frames(3))
    assert again == digest(frames[:3])
    assert len(set(again)) == 3


def test_a_bag_of_it_reads_back(frames, tmp_path):
    write_example_bag(tmp_path / 'bag', count=3)
    types = standard_types()
    with open_source(str(tmp_path / 'bag')) as source:
        assert source.roles == {Role.IMAGE, Role.CAMERA_INFO, Role.DEPTH}
        assert source.sample_count == 9
        assert source.notes == ()
        samples = list(source)
    by_role = {role: [one for one in samples if one.role == role] for role in source.roles}
    for role, kept in by_role.items():
        assert [one.stamp_ns for one in kept] == [frame.stamp_ns for frame in frames[:3]]
        by_role[role] = [types.deserialize_cdr(one.cdr, role.type_name) for one in kept]
    for message in (one for kept in by_role.values() for one in kept):
        assert (message.header.frame_id, message.height, message.width) == (FRAME_ID, 480, 640)
    for index, frame in enumerate(frames[:3]):
        image = by_role[Role.IMAGE][index]
        assert image.encoding == 'bgr8'
        np.testing.assert_array_equal(image.data.reshape(480, 640, 3)[..., ::-1], frame.rgb)
        depth = by_role[Role.DEPTH][index]
        assert depth.encoding == '16UC1'
        millimetres = depth.data.view(np.uint16).reshape(480, 640)
        unknown = np.isnan(frame.depth.metres)
        np.testing.assert_array_equal(millimetres == 0, unknown)
        assert np.abs(millimetres / 1000 - frame.depth.metres)[~unknown].max() <= 0.000501
        info = by_role[Role.CAMERA_INFO][index]
        assert info.k.tolist() == [525, 0, 319.5, 0, 525, 239.5, 0, 0, 1]


def test_two_bags_of_it_are_the_same_messages(tmp_path):
    for name in ('one', 'other'):
        write_example_bag(tmp_path / name, count=2)
    bags = []
    for name in ('one', 'other'):
        with open_source(str(tmp_path / name)) as source:
            bags.append(list(source))
    assert bags[0] == bags[1]


def test_nothing_is_written_over(tmp_path):
    write_example_bag(tmp_path / 'bag', count=1)
    with pytest.raises(
        OutputError, match='bag: expected a folder that can be made, got: .*exists'
    ):
        write_example_bag(tmp_path / 'bag', count=1)
