import os
import shutil

import cv2
import numpy as np
from PIL import Image as Pillow
import pytest
from reasons import raises

from robot_perception.core.errors import SourceError
from robot_perception.sources import open_source, Role
from robot_perception.sources.messages import standard_types

SECOND_NS = 10**9
RANDOM = np.random.default_rng(0)


def noise(size_hw=(12, 16)):
    return RANDOM.integers(0, 256, (*size_hw, 3), np.uint8)


def opened(path, **options):
    return open_source(str(path), start_ns=7 * SECOND_NS, **options)


def message(sample):
    return standard_types().deserialize_cdr(sample.cdr, sample.type_name)


def stamp_ns(header):
    return header.stamp.sec * SECOND_NS + header.stamp.nanosec


def pixels(sample):
    read = message(sample)
    return read.data.reshape(read.height, read.step // 3, 3)


def of_role(samples, role):
    return [sample for sample in samples if sample.role is role]


def test_one_picture_becomes_image_and_nominal_calibration(tmp_path):
    bgr = noise()
    cv2.imwrite(str(tmp_path / 'a.png'), bgr)
    source = opened(tmp_path / 'a.png', hfov_deg=90.0, frame_id='eye')
    info, image = source
    assert (info.role, image.role) == (Role.CAMERA_INFO, Role.IMAGE)
    assert source.roles == {Role.CAMERA_INFO, Role.IMAGE}
    assert (source.sample_count, source.duration_ns) == (2, round(SECOND_NS / 30))
    assert 'nominal camera of 90 degrees' in source.description

    read = message(image)
    assert (read.height, read.width, read.encoding, read.step) == (12, 16, 'bgr8', 48)
    assert read.is_bigendian == 0
    assert read.header.frame_id == 'eye'
    assert stamp_ns(read.header) == image.stamp_ns == 7 * SECOND_NS
    np.testing.assert_array_equal(pixels(image), bgr)

    calibration = message(info)
    assert (calibration.height, calibration.width) == (12, 16)
    # Half the width away from the axis is 45 degrees at this field of view.
    np.testing.assert_allclose(calibration.k, [8, 0, 7.5, 0, 8, 5.5, 0, 0, 1])
    np.testing.assert_allclose(calibration.p, [8, 0, 7.5, 0, 0, 8, 5.5, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(calibration.r, np.eye(3).ravel())
    np.testing.assert_array_equal(calibration.d, np.zeros(5))
    assert calibration.distortion_model == 'plumb_bob'
    assert calibration.header == read.header


def test_folder_in_order_of_numbers_at_the_given_rate(tmp_path):
    names = ['view_1.png', 'view_2.bmp', 'view_10.png', 'VIEW_A.PNG']
    pictures = [noise((4, 4 + index)) for index, _ in enumerate(names)]
    for name, picture in zip(names, pictures, strict=True):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / 'notes.txt').write_text('not a picture')
    samples = list(opened(tmp_path, fps=10.0))
    images = of_role(samples, Role.IMAGE)
    order = [3, 0, 1, 2]  # capitals first, then by number
    for image, index in zip(images, order, strict=True):
        np.testing.assert_array_equal(pixels(image), pictures[index])
    assert [one.stamp_ns for one in images] == [7 * SECOND_NS + n * 10**8 for n in range(4)]
    widths = [message(one).width for one in of_role(samples, Role.CAMERA_INFO)]
    assert widths == [4 + index for index in order]


@pytest.mark.parametrize('invalid', [0, 65535])
def test_depth_goes_with_its_picture(tmp_path, invalid):
    depth = RANDOM.integers(1, 65535, (12, 16), np.uint16)
    depth[2, 3] = invalid
    for number in range(2):
        cv2.imwrite(str(tmp_path / f'f{number}.color.png'), noise())
    cv2.imwrite(str(tmp_path / 'f0.depth.png'), depth)
    np.savetxt(tmp_path / 'camera-intrinsics.txt', [[20, 0, 8], [0, 21, 6], [0, 0, 1]])
    source = opened(tmp_path)
    samples = list(source)
    assert [one.role for one in samples] == [
        Role.CAMERA_INFO,
        Role.DEPTH,
        Role.IMAGE,
        Role.CAMERA_INFO,
        Role.IMAGE,
    ]
    assert source.sample_count == len(samples)
    assert 'calibrated' in source.description
    read = message(samples[1])
    assert (read.encoding, read.step) == ('16UC1', 32)
    depth[2, 3] = 0
    np.testing.assert_array_equal(read.data.view('<u2').reshape(12, 16), depth)
    assert read.header == message(samples[2]).header
    np.testing.assert_array_equal(message(samples[0]).k, [20, 0, 8, 0, 21, 6, 0, 0, 1])


def test_depth_without_intrinsics_has_a_nominal_camera(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.color.png'), noise())
    cv2.imwrite(str(tmp_path / 'a.depth.png'), np.ones((12, 16), np.uint16))
    assert 'nominal camera of 60 degrees' in opened(tmp_path).description


@pytest.mark.data
def test_real_recording(recordings):
    folder = recordings / 'redkitchen'
    source = opened(folder)
    info, depth, image = (sample for sample, _ in zip(source, range(3), strict=False))
    assert source.sample_count == 180
    np.testing.assert_array_equal(
        pixels(image), cv2.imread(str(folder / 'frame-000000.color.jpg'))
    )
    np.testing.assert_array_equal(
        message(depth).data.view('<u2').reshape(480, 640),
        cv2.imread(str(folder / 'frame-000000.depth.png'), cv2.IMREAD_UNCHANGED),
    )
    np.testing.assert_array_equal(message(info).k, [585, 0, 320, 0, 585, 240, 0, 0, 1])


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_unreadable_pictures_are_left_out_and_named_at_the_end(tmp_path):
    for name in ('a.jpg', 'b.jpg', 'c.png', 'd.png', 'e.webp'):
        cv2.imwrite(str(tmp_path / name), noise((64, 64)))
    cut(tmp_path / 'b.jpg')
    cut(tmp_path / 'c.png')
    (tmp_path / 'e.webp').write_bytes(b'')
    samples = []
    with pytest.raises(SourceError) as caught:
        samples.extend(opened(tmp_path, fps=1.0))
    assert [one.stamp_ns for one in of_role(samples, Role.IMAGE)] == [
        7 * SECOND_NS,
        10 * SECOND_NS,
    ]
    text = str(caught.value)
    assert f'{tmp_path}: expected 5 readable pictures, got 2.' in text
    for name, got in (('b.jpg', 'a truncated jpeg'), ('c.png', 'a truncated png')):
        assert f'{tmp_path / name}: expected a whole image file, got {got}. Copy it' in text
    assert f'{tmp_path / "e.webp"}: expected a whole image file, got nothing.' in text


def test_jpeg_with_a_whole_thumbnail_and_half_a_picture_is_cut(tmp_path):
    bgr = noise((64, 64))
    whole = cv2.imencode('.jpg', bgr)[1].tobytes()
    thumbnail = cv2.imencode('.jpg', bgr[:8, :8])[1].tobytes()
    segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    with_thumbnail = whole[:2] + segment + whole[2:]
    path = tmp_path / 'a.jpg'
    path.write_bytes(with_thumbnail)
    assert len(list(opened(path))) == 2
    path.write_bytes(with_thumbnail[: -len(whole) // 2])
    with raises(SourceError, 'damaged'):
        list(opened(path))


@pytest.mark.parametrize('depth', [np.ones((6, 8), np.uint16), np.ones((12, 16), np.uint8)])
def test_depth_that_does_not_fit_is_left_out_with_its_picture(tmp_path, depth):
    cv2.imwrite(str(tmp_path / 'a.color.png'), noise())
    cv2.imwrite(str(tmp_path / 'a.depth.png'), depth)
    with raises(SourceError, 'damaged', match='Register'):
        list(opened(tmp_path))


def test_empty_folder(tmp_path):
    with raises(SourceError, 'no_images'):
        opened(tmp_path)


@pytest.mark.parametrize('text', ['', '1 2 3', 'a b c', '0 0 1\n0 0 1\n0 0 1'])
@pytest.mark.filterwarnings('ignore:loadtxt')
def test_bad_intrinsics(tmp_path, text):
    cv2.imwrite(str(tmp_path / 'a.color.png'), noise())
    cv2.imwrite(str(tmp_path / 'a.depth.png'), np.ones((12, 16), np.uint16))
    (tmp_path / 'camera-intrinsics.txt').write_text(text)
    with raises(SourceError, 'bad_calibration'):
        opened(tmp_path)


def test_picture_that_vanishes_is_named(tmp_path):
    folder = tmp_path / 'folder'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.png'), noise())
    source = opened(folder)
    shutil.rmtree(folder)
    with raises(SourceError, 'damaged', match='a.png'):
        list(source)


def test_hidden_files_folders_and_pipes_are_no_pictures(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), noise())
    (tmp_path / '._a.png').write_bytes(b'\0\5\x16\7')
    (tmp_path / '.hidden.png').touch()
    (tmp_path / 'sub.png').mkdir()
    os.mkfifo(tmp_path / 'pipe.png')
    source = opened(tmp_path)
    assert len(of_role(list(source), Role.IMAGE)) == 1
    assert list(source.names.values()) == ['a.png']


def test_pictures_keep_their_names_when_others_cannot_be_read(tmp_path):
    for name in ('a.png', 'c.png'):
        cv2.imwrite(str(tmp_path / name), noise())
    (tmp_path / 'b.heic').write_bytes(b'\0\0\0\x18ftypheic' + bytes(20))
    source = opened(tmp_path)
    found = []
    with raises(SourceError, 'damaged', match='b.heic: expected .* got HEIC'):
        found.extend(source)
    stamps = [one.stamp_ns for one in of_role(found, Role.IMAGE)]
    assert [source.names[one] for one in stamps] == ['a.png', 'c.png']


def test_folder_of_folders_names_those_with_pictures(tmp_path):
    (tmp_path / 'left').mkdir()
    (tmp_path / 'empty').mkdir()
    cv2.imwrite(str(tmp_path / 'left' / 'a.png'), noise())
    with raises(SourceError, 'no_images', match='There are some in left: pass one'):
        opened(tmp_path)


def test_focal_length_of_a_photograph_sets_the_field_of_view(tmp_path):
    picture = Pillow.fromarray(noise((24, 36)))
    exif = picture.getexif()
    exif.get_ifd(0x8769)[0xA405] = 28
    picture.save(tmp_path / 'a.jpg', exif=exif)
    info, _ = opened(tmp_path / 'a.jpg')
    assert message(info).k[0] == pytest.approx(28)
    info, _ = opened(tmp_path / 'a.jpg', hfov_deg=90.0)
    assert message(info).k[0] == pytest.approx(18)


def write_frames(folder, colors, depths, size_hw=(12, 16)):
    """Write colors of noise, and depth whose values are its number; return both."""
    pictures = [noise(size_hw) for _ in colors]
    for name, picture in zip(colors, pictures, strict=True):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        cv2.imwrite(str(folder / name), picture)
    for number, name in enumerate(depths, 1):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        cv2.imwrite(str(folder / name), np.full((12, 16), number, np.uint16))
    return pictures


def depth_numbers(samples):
    """Return the value of the depth before each image, 0 without one."""
    numbers, last = [], 0
    for one in samples:
        if one.role is Role.DEPTH:
            last = int(message(one).data.view('<u2')[0])
        elif one.role is Role.IMAGE:
            numbers.append(last)
            last = 0
    return numbers


def test_folder_of_the_tum_dataset(tmp_path):
    colors = [f'rgb/1305031102.{number}.png' for number in ('175304', '211214', '275326')]
    depths = [f'depth/1305031102.{number}.png' for number in ('160407', '226738')]
    write_frames(tmp_path, colors, depths)
    for name, files in (('rgb.txt', colors), ('depth.txt', depths)):
        lines = ''.join(f'{file.split("/")[1][:-4]} {file}\n' for file in files)
        (tmp_path / name).write_text(f'# {name}\n{lines}')
    source = opened(tmp_path)
    samples = list(source)
    assert depth_numbers(samples) == [1, 2, 0]
    stamps = [one.stamp_ns for one in of_role(samples, Role.IMAGE)]
    assert stamps == pytest.approx([1305031102175304000, 1305031102211214000, 1305031102275326000])
    assert 'depth.unit_m=0.0002' in source.notes[0]
    assert opened(tmp_path, fps=10.0).names.keys() == {7 * SECOND_NS + n * 10**8 for n in range(3)}


@pytest.mark.parametrize('line', ['1.0 ../../secret.png', 'yesterday rgb/a.png', '1.0'])
def test_bad_list_of_the_tum_dataset(tmp_path, line):
    (tmp_path / 'rgb').mkdir()
    (tmp_path / 'rgb.txt').write_text(line)
    with raises(SourceError, 'damaged', match='rgb.txt: expected lines with a time'):
        opened(tmp_path)


def test_folder_of_scannet(tmp_path):
    write_frames(
        tmp_path, [f'color/{n}.jpg' for n in (2, 10)], ['depth/2.png', 'depth/10.png'], (24, 32)
    )
    (tmp_path / 'intrinsic').mkdir()
    color, depth = (np.diag([fx, fx, 1.0, 1.0]) for fx in (40.0, 20.0))
    color[:2, 2], depth[:2, 2] = (15.5, 11.5), (7.5, 5.5)
    np.savetxt(tmp_path / 'intrinsic/intrinsic_color.txt', color)
    np.savetxt(tmp_path / 'intrinsic/intrinsic_depth.txt', depth)
    shape = np.arange(1, 12 * 16 + 1, dtype=np.uint16).reshape(12, 16)
    cv2.imwrite(str(tmp_path / 'depth/2.png'), shape)
    samples = list(opened(tmp_path))
    first = next(one for one in samples if one.role is Role.DEPTH)
    found = message(first).data.view('<u2').reshape(24, 32)
    # Half the size and the same field of view: each value four times.
    np.testing.assert_array_equal(found, np.repeat(np.repeat(shape, 2, 0), 2, 1))
    assert depth_numbers(samples) == [1, 2]
    assert message(samples[0]).k[0] == 40.0


def test_folder_of_bundlefusion(tmp_path):
    colors = [f'frame-00000{n}.color.jpg' for n in range(2)]
    write_frames(tmp_path, colors, [f'frame-00000{n}.depth.png' for n in range(2)])
    matrix = '582.871 0 320 0 0 582.9 240 0 0 0 1 0 0 0 0 1'
    (tmp_path / 'info.txt').write_text(
        f'm_versionNumber = 4\nm_calibrationColorIntrinsic = {matrix} \nm_depthShift = 1000\n'
    )
    source = opened(tmp_path)
    samples = list(source)
    assert depth_numbers(samples) == [1, 2]
    assert list(message(samples[0]).k) == [582.871, 0, 320, 0, 582.9, 240, 0, 0, 1]
    assert list(source.names.values()) == colors
