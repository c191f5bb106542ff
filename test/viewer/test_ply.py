import numpy as np
import pytest
from reasons import raises
from scenes import example_scene

from robot_perception.core import OutputError, PointCloud
from robot_perception.viewer import write_ply


def empty_cloud():
    return PointCloud(np.full((3, 4, 3), np.nan, np.float32), np.zeros((3, 4, 3), np.uint8))


def test_open3d_reads_the_known_points_back(tmp_path):
    open3d = pytest.importorskip('open3d')
    cloud = example_scene(0, (40, 50)).cloud()
    write_ply(cloud, tmp_path / 'cloud.ply')
    read = open3d.t.io.read_point_cloud(str(tmp_path / 'cloud.ply'))
    xyz, rgb = cloud.known()
    assert 0 < len(xyz) < 40 * 50
    np.testing.assert_array_equal(read.point.positions.numpy(), xyz)
    np.testing.assert_array_equal(read.point.colors.numpy(), rgb)
    assert [path.name for path in tmp_path.iterdir()] == ['cloud.ply']


def test_the_file_is_binary_with_the_properties_that_viewers_expect(tmp_path):
    cloud = example_scene(0, (8, 9)).cloud()
    write_ply(cloud, tmp_path / 'cloud.ply')
    header, _, body = (tmp_path / 'cloud.ply').read_bytes().partition(b'end_header\n')
    lines = header.decode().splitlines()
    assert lines[:2] == ['ply', 'format binary_little_endian 1.0']
    assert [line.split()[1:] for line in lines if line.startswith('property')] == [
        ['float', 'x'],
        ['float', 'y'],
        ['float', 'z'],
        ['uchar', 'red'],
        ['uchar', 'green'],
        ['uchar', 'blue'],
    ]
    record = np.dtype([('xyz', '<f4', 3), ('rgb', 'u1', 3)])
    points = np.frombuffer(body, record)
    np.testing.assert_array_equal(points['xyz'], cloud.known()[0])
    np.testing.assert_array_equal(points['rgb'], cloud.known()[1])


def test_a_cloud_without_points_makes_a_valid_file(tmp_path):
    write_ply(empty_cloud(), tmp_path / 'cloud.ply')
    header, _, body = (tmp_path / 'cloud.ply').read_bytes().partition(b'end_header\n')
    assert b'element vertex 0\n' in header
    assert body == b''


def test_a_full_disk_leaves_no_file(tmp_path, full_disk):
    cloud = example_scene(0, (40, 50)).cloud()
    with (
        full_disk(12_000),
        raises(OutputError, 'cannot_write'),
    ):
        write_ply(cloud, tmp_path / 'cloud.ply')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('cloud', [example_scene(0, (8, 9)).cloud(), empty_cloud()])
def test_a_missing_folder_is_refused(tmp_path, cloud):
    with raises(OutputError, 'cannot_write'):
        write_ply(cloud, tmp_path / 'none' / 'cloud.ply')


def test_another_suffix_is_refused(tmp_path):
    with raises(OutputError, 'wrong_suffix'):
        write_ply(empty_cloud(), tmp_path / 'cloud.pcd')
