import numpy as np
import pytest
from reasons import raises

from robot_perception.core.errors import InputError
from robot_perception.world import CLASSES, render, sequence, world_camera
from robot_perception.world.materials import Surface
from robot_perception.world.mesh import cuboid, lathe, sphere
from robot_perception.world.objects import make_clutter, make_object
from robot_perception.world.textures import texture, TEXTURES


@pytest.mark.parametrize('class_id', range(len(CLASSES)), ids=[item.name for item in CLASSES])
def test_object_sizes_are_within_the_range_of_their_class(class_id):
    kind = CLASSES[class_id]
    for seed in range(25):
        mesh = make_object(class_id, np.random.default_rng(seed)).mesh
        size = mesh.high_m - mesh.low_m
        assert np.all(size >= np.array(kind.smallest_m) - 2e-4), (kind.name, size)
        assert np.all(size <= np.array(kind.largest_m) + 2e-4), (kind.name, size)
        assert mesh.low_m[2] == pytest.approx(0, abs=1e-6)


def test_colors_are_valid_albedos():
    rng = np.random.default_rng(0)
    bodies = [make_object(at % len(CLASSES), rng) for at in range(40)]
    for body in [*bodies, *(make_clutter(rng) for _ in range(10))]:
        corners = body.mesh.vertices_m.T
        footprint = np.full(corners.shape[1], 1e-3, np.float32)
        colors = body.material(Surface(corners, body.mesh.normals.T, footprint))
        assert colors.shape == corners.shape
        assert np.all((colors >= 0) & (colors <= 1.3))
        assert 0 <= body.gloss <= 1


@pytest.mark.parametrize(
    'mesh',
    [cuboid((-1, -2, 0), (1, 2, 3)), sphere(0.5), lathe([(0, 0), (1, 0), (0.7, 2), (0, 2)])],
    ids=['cuboid', 'sphere', 'lathe'],
)
def test_normals_point_outward_and_surfaces_are_closed(mesh):
    corners = mesh.vertices_m[mesh.triangles].astype(float)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inside = (mesh.low_m + mesh.high_m) / 2
    middle = corners.mean(axis=1)
    normals = mesh.normals[mesh.triangles].mean(axis=1)
    assert np.all(np.sum(normals * (middle - inside), axis=1) > 0)
    facing = np.sign(np.sum(across * (middle - inside), axis=1))
    # A closed surface has no net area.
    assert np.allclose(np.sum(across * facing[:, None], axis=0), 0, atol=1e-5)


def test_volume_of_a_sphere_from_its_triangles():
    mesh = sphere(0.5, rings=48)
    a, b, c = (mesh.vertices_m[mesh.triangles[:, corner]].astype(float) for corner in range(3))
    volume = np.abs(np.sum(a * np.cross(b, c), axis=1)).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 0.125, rel=0.01)


@pytest.mark.parametrize('name', TEXTURES)
def test_textures_are_periodic(name):
    pattern = texture(name)
    rng = np.random.default_rng(1)
    # The middles of texels, a whole number of tiles away.
    u, v = (rng.integers(0, pattern.texels, (2, 200)) + 0.5) * pattern.tile_m / pattern.texels
    near = np.full(200, 1e-6, np.float32)
    here = pattern.sample(u.astype(np.float32), v.astype(np.float32), near)
    away = pattern.sample(
        (u - 2 * pattern.tile_m).astype(np.float32),
        (v + pattern.tile_m).astype(np.float32),
        near,
    )
    for first, second in zip(here, away, strict=True):
        assert np.mean(first == second) > 0.95  # float32 may round to the next texel
    assert 0 <= here[0].min() <= here[0].max() <= 1


def test_a_square_of_the_checker_is_five_centimeters():
    at = np.array([0.025, 0.075, 0.125, 0.175], np.float32)
    across, _ = texture('checker').sample(at, np.full(4, 0.01, np.float32), np.zeros(4))
    assert across.tolist() == [0, 1, 0, 1]


def test_distant_textures_are_uniform():
    far = np.full(500, 1.0, np.float32)
    u, v = np.random.default_rng(2).random((2, 500)).astype(np.float32)
    near, _ = texture('checker').sample(u, v, np.zeros(500, np.float32))
    even, _ = texture('checker').sample(u, v, far)
    assert near.std() > 0.4
    assert even.tolist() == [0.5] * 500


def test_the_camera_scales_with_the_resolution():
    small, large = world_camera((192, 256)), world_camera((480, 640))
    assert large.fx == pytest.approx(small.fx * 2.5)
    assert small.fx == small.fy
    corner = small.unproject(np.array([-0.5, -0.5]))
    assert large.unproject(np.array([-0.5, -0.5])) == pytest.approx(corner)


@pytest.mark.parametrize(
    'call',
    [
        lambda: world_camera((8, 256)),
        lambda: render(0, (192, 9999)),
        lambda: render(-1, (48, 64)),
        lambda: render(1.5, (48, 64)),
        lambda: sequence(0, 0, (48, 64)),
    ],
)
def test_arguments_out_of_range(call):
    with raises(InputError, 'out_of_range'):
        call()
