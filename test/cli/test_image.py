"""`robot-perception image FILE...` on images of every kind, and on other files."""

import json
import math
from pathlib import Path

import cv2
from image_bombs import make_jpeg
import numpy as np
from onnx_detectors import write_color_detector
import pytest

from robot_perception.core import CameraModel, Image, Scene
from robot_perception.pipeline import PerceptionPipeline, read_image
from robot_perception.viewer import FrameStems

MISSING = (
    'expected a bag, video, picture, folder of pictures or webcam index, '
    'got a path that does not exist. Check the spelling.'
)
NO_PICTURE = 'expected a whole image file, got a truncated png. Copy it again or take it away.'
BOMB = (
    'expected at most 50 scans over 2147483648 pixels in total, '
    'got a jpeg of 5792x5792 with 51 scans or more. Use baseline jpeg.'
)
ORIENTATION, TURNED_RIGHT = 0x0112, 6
PARTS = (
    'overlay.png', 'depth.png', 'features.png', 'instances.png', 'cloud.png', 'scene.json',
)  # fmt: skip


def expected_files(stem):
    return {f'{stem}.ply', *(f'{stem}_{part}' for part in PARTS)}


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def parsed(text):
    """Parse one JSON object per line, strictly (no NaN)."""

    def refuse(constant):
        raise ValueError(constant)

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_files_and_lines_of_an_image(command, picture):
    done = command('image', picture('photo.jpg', (48, 64)), '--preset', 'stub')
    assert (done.returncode, done.stderr) == (0, '')
    output = command.folder / 'perception_output'
    assert names_in(output) == expected_files('photo')
    first, *lines, last = done.stdout.splitlines()
    assert first == f'{command.folder / "photo.jpg"}: 64x48, 3 objects'
    stages = [line.split() for line in lines if line.endswith(' ms')]
    assert [words[0] for words in stages] == [
        'features', 'depth', 'detector', 'segmenter', 'lifting', 'pipeline',
    ]  # fmt: skip
    assert all(float(words[1]) >= 0 for words in stages)
    objects = [line for line in lines if ' at ' in line]
    assert len(objects) == 3
    assert all(line.startswith('  stub ') and line.endswith(' m') for line in objects)
    assert last.startswith('  wrote photo_overlay.png, ')
    assert last.endswith(' to perception_output')


def test_files_equal_the_results_of_the_library(command, picture):
    file = picture('photo.png')
    command('image', file, '--preset', 'stub', '--hfov', '75', '-o', 'seen')
    image = read_image(file)
    camera = CameraModel.nominal(image.size_hw, 75.0)
    scene = PerceptionPipeline.from_preset('stub').process(image, camera)
    (written,) = parsed((command.folder / 'seen' / 'photo_scene.json').read_text())
    assert written['camera']['fx'] == pytest.approx(camera.fx, rel=1e-5)
    assert [item['class_name'] for item in written['objects']] == list(
        scene.detections.class_names
    )
    for item, expected in zip(written['objects'], scene.objects, strict=True):
        assert item['centroid_m'] == pytest.approx(expected.centroid_m, abs=1e-4)
    overlay = cv2.imread(str(command.folder / 'seen' / 'photo_overlay.png'))
    assert overlay.shape == (48, 64, 3)


def test_exif_orientation_is_applied(command):
    pillow = pytest.importorskip('PIL.Image')
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :32] = (255, 0, 0)
    exif = pillow.Exif()
    exif[ORIENTATION] = TURNED_RIGHT
    path = command.folder / 'phone.jpg'
    pillow.fromarray(pixels).save(path, exif=exif, quality=95)
    done = command('image', path, '--preset', 'stub', '--json')
    (scene,) = parsed(done.stdout)
    assert (scene['image']['height'], scene['image']['width']) == (64, 32)
    rgb = read_image(path).rgb
    # The left half is now the upper half.
    assert rgb[8, 16, 0] > 200
    assert rgb[56, 16, 0] < 50


def test_a_detector_in_an_onnx_file(command, tmp_path):
    pytest.importorskip('onnxruntime', reason='an extra')
    model = write_color_detector(tmp_path / 'best.onnx')
    cv2.imwrite(str(tmp_path / 'green.png'), np.full((48, 64, 3), (20, 210, 30), np.uint8))
    options = ['--preset', 'stub', '--device', 'cpu', '--set', 'detector.threshold=0.3']
    done = command('image', 'green.png', *options, '--set', f'detector.model={model}', '--json')
    (scene,) = parsed(done.stdout)
    assert [item['class_name'] for item in scene['objects']] == ['chair']


def test_json(command, picture):
    files = [picture('a.png'), picture('b.jpg', (30, 40), seed=1)]
    done = command('image', *files, '--preset', 'stub', '--json')
    assert (done.returncode, done.stderr) == (0, '')
    scenes = parsed(done.stdout)
    assert [scene['file'] for scene in scenes] == [str(file) for file in files]
    for scene in scenes:
        assert scene['schema'] == 'robot_perception/scene'
        assert len(scene['objects']) == 3
        assert all(math.isfinite(item['score']) for item in scene['objects'])
    assert [scene['image']['width'] for scene in scenes] == [64, 40]


def test_an_unreadable_image_among_good_ones(command, picture):
    broken = command.folder / 'broken.png'
    broken.write_bytes(b'\x89PNG\r\n\x1a\nnot really')
    missing = command.folder / 'missing.jpg'
    bomb = command.folder / 'bomb.jpg'
    bomb.write_bytes(make_jpeg(5792, 3000))
    files = [picture('a.png'), broken, missing, bomb, picture('z.png')]
    done = command('image', *files, '--preset', 'stub', '--json')
    assert done.returncode == 3
    assert [scene['file'][-5:] for scene in parsed(done.stdout)] == ['a.png', 'z.png']
    assert done.stderr.splitlines() == [
        f'robot-perception image: {broken}: {NO_PICTURE}',
        f'robot-perception image: {missing}: {MISSING}',
        f'robot-perception image: {bomb}: {BOMB}',
    ]
    assert names_in(command.folder / 'perception_output') == expected_files('a') | expected_files(
        'z'
    )


def test_only_unreadable_images(command):
    empty, text = (command.folder / name for name in ('empty.png', 'notes.txt'))
    empty.touch()
    text.write_text('notes')
    folder = command.folder / 'folder'
    folder.mkdir()
    done = command('image', empty, text, folder, '--preset', 'stub')
    assert (done.returncode, done.stdout) == (1, '')
    assert 'empty.png: expected a whole image file, got nothing.' in done.stderr
    assert 'notes.txt: expected a bag, a video or a picture, got' in done.stderr
    assert f'{folder}: expected pictures in the folder, got none' in done.stderr
    assert not (command.folder / 'perception_output').exists()


@pytest.mark.parametrize(
    ('files', 'expected'),
    [
        (['a.png', 'b.png'], ['a', 'b']),
        (['one/a.png', 'two/a.png', 'a.jpg'], ['a', 'a~2', 'a~3']),
        (['a~2.png', 'a.png', 'one/a.png'], ['a~2', 'a', 'a~3']),
        (['a.png', 'one/a.png', 'a~2.png'], ['a', 'a~2', 'a~2~2']),
        (['a.b.png', '.hidden'], ['a.b', '.hidden']),
        (['a.png', 'a.png'], ['a', 'a~2']),
    ],
)
def test_each_image_has_a_unique_name(files, expected):
    pixels = np.zeros((1, 1, 3), np.uint8)
    stems = FrameStems()
    scenes = [Scene(image=Image(pixels, name=Path(file).name)) for file in files]
    assert [stems.add(scene, 0) for scene in scenes] == expected


def test_images_of_the_same_name_do_not_overwrite_each_other(command, picture):
    files = [picture('one/a.png', (20, 30)), picture('two/a.png', (30, 20))]
    assert command('image', *files, '--preset', 'stub').returncode == 0
    output = command.folder / 'perception_output'
    assert names_in(output) == expected_files('a') | expected_files('a~2')
    shapes = [cv2.imread(str(output / f'{stem}_overlay.png')).shape for stem in ('a', 'a~2')]
    assert shapes == [(20, 30, 3), (30, 20, 3)]


@pytest.mark.parametrize(
    ('output', 'reason'),
    [('taken', 'File exists'), ('taken/below', 'Not a directory'), ('/proc/here', 'No such file')],
)
def test_an_output_that_cannot_be_written(command, picture, output, reason):
    (command.folder / 'taken').touch()
    done = command('image', picture('a.png'), '--preset', 'stub', '-o', output)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr.startswith('robot-perception image: ')
    assert f'{output}: cannot be written: {reason}' in done.stderr
    assert 'Check the folder, its permissions and the free space' in done.stderr


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--hfov', '180'], '--hfov: expected above 0 and below 180 degrees, got 180.0.'),
        (['--hfov', 'nan'], '--hfov: expected above 0 and below 180 degrees, got nan.'),
        (['--set', 'cpu_threads=two'], "cpu_threads: expected int, got 'two'."),
    ],
)
def test_bad_arguments(command, picture, arguments, message):
    done = command('image', picture('a.png'), '--preset', 'stub', *arguments)
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr == f'robot-perception image: {message}\n'


def test_a_disabled_stage_writes_no_files(command, picture):
    done = command(
        'image', picture('a.png'), '--preset', 'stub', '--set', 'depth.enabled=false',
        '--set', 'features.enabled=false',
    )  # fmt: skip
    assert done.returncode == 0
    assert names_in(command.folder / 'perception_output') == {
        'a_overlay.png', 'a_instances.png', 'a_scene.json',
    }  # fmt: skip
    assert ' at ' not in done.stdout


def test_a_wrong_name_is_named_before_networks_are_looked_for(command):
    done = command('image', 'nofile.png')
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr.startswith('robot-perception image: nofile.png: ')
    assert 'networks' not in done.stderr


def test_missing_networks_are_named_with_a_remedy(command, picture):
    done = command('image', picture('a.png'), '--preset', 'robot')
    assert (done.returncode, done.stdout) == (1, '')
    assert '4 networks are not on this machine' in done.stderr
    assert 'Run: robot-perception models pull ' in done.stderr


def test_demo_networks_print_their_limitation(command, picture):
    pytest.importorskip('transformers')
    done = command('image', picture('a.png', (96, 128)), '--preset', 'demo', '--json')
    assert done.returncode == 0, done.stderr
    (scene,) = parsed(done.stdout)
    assert scene['depth']['kind'] == 'metric'
    assert 'note: These networks are small and were trained on the demo world only' in done.stderr


def test_a_picture_is_known_by_its_content(command, picture):
    picture('a.jpg').rename(command.folder / 'scan.dat')
    done = command('image', 'scan.dat', '--preset', 'stub')
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith('scan.dat: 64x48, 3 objects\n')


def test_folders_and_videos_have_results_for_each_frame(command, picture):
    for name in ('b.png', 'a.png'):
        picture(f'folder/{name}')
    video = cv2.VideoWriter(
        str(command.folder / 'film.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 48)
    )
    for shade in range(5):
        video.write(np.full((48, 64, 3), 40 * shade, np.uint8))
    video.release()
    flags = ('--preset', 'stub', '--seconds', '0.25', '--json', 'all.jsonl')
    done = command('image', 'folder', 'film.avi', *flags)
    assert (done.returncode, done.stderr) == (0, '')
    scenes = parsed((command.folder / 'all.jsonl').read_text())
    frames = [(scene['file'], scene['frame'].split('_')[0]) for scene in scenes]
    # Frames of the video at 0, 0.1 and 0.2 s.
    film = [('film.avi', f'{number:06d}') for number in (2, 3, 4)]
    assert frames == [('folder/a.png', 'a'), ('folder/b.png', 'b'), *film]
    stems = [scene['frame'] for scene in scenes]
    output = command.folder / 'perception_output'
    assert names_in(output) == set().union(*map(expected_files, stems))
    assert 'film.avi, 000002' in done.stdout


def test_results_are_replaced_by_force_only(command, picture):
    call = ('image', picture('a.png'), '--preset', 'stub')
    assert command(*call).returncode == 0
    scene = command.folder / 'perception_output' / 'a_scene.json'
    scene.write_text('mine')
    again = command(*call)
    assert (again.returncode, again.stdout) == (1, '')
    assert 'expected no results of this name, got some. Replace them with --force' in again.stderr
    assert scene.read_text() == 'mine'
    assert command(*call, '--force').returncode == 0
    assert parsed(scene.read_text().replace('\n', ''))
