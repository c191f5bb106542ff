"""`robot-perception search`: images that fit a text, of folders and recordings."""

from html.parser import HTMLParser
import json

from bags import generated_frames, write_rgbd_bag
import cv2
import numpy as np
import pytest
from scene_checkpoints import write_classifier, write_image_text

from robot_perception.cli.main import main
from robot_perception.models import build_scene_classifier, UploadedImage
from robot_perception.pipeline import read_image


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return write_image_text(tmp_path_factory.mktemp('networks') / 'clip', 'clip')


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in 'abcde':
        pixels = rng.integers(0, 256, (3, 4, 3), np.uint8)
        cv2.imwrite(str(folder / f'{name}.png'), cv2.resize(pixels, (64, 48)))
    return folder


def search(folder, model, *flags):
    return main(['search', str(folder), 'a red cup', '--set', f'scene.model={model}', *flags])


def test_pictures_are_listed_by_their_similarity(pictures, clip, capsys):
    assert search(pictures, clip, '--count', '3', '--json') == 0
    written = json.loads(capsys.readouterr().out)
    network = build_scene_classifier(str(clip))
    text = network.embed_text('a red cup')
    similarities = {
        path.name: float(network.embed_image(UploadedImage(read_image(path))) @ text)
        for path in pictures.iterdir()
    }
    expected = sorted(similarities, key=lambda name: -similarities[name])[:3]
    assert [one['name'] for one in written['found']] == expected
    for one in written['found']:
        assert one['similarity'] == pytest.approx(similarities[one['name']], abs=1e-4)
    assert (written['text'], written['images']) == ('a red cup', 5)


def test_a_license_that_excludes_commercial_use_is_named(pictures, tmp_path, capsys):
    folder = write_image_text(tmp_path / 'clip', 'clip')
    (folder / 'README.md').write_text('---\nlicense: cc-by-nc-4.0\n---\n')
    # The detector is not loaded.
    settings = ('--preset', 'stub', '--set', f'detector.model={folder}')
    assert search(pictures, folder, *settings) == 0
    (note,) = [line for line in capsys.readouterr().err.splitlines() if 'license' in line]
    assert note.endswith(f'The license of {folder} (cc-by-nc-4.0) excludes commercial use.')


class Images(HTMLParser):
    """Collects the images of a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == 'img':
            self.found.append(dict(attrs))


def test_a_page_shows_thumbnails(pictures, clip, tmp_path, capsys):
    page = tmp_path / 'page'
    assert search(pictures, clip, '-o', str(page)) == 0
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines()[:-1]]
    images = Images((page / 'index.html').read_text()).found
    assert [one['alt'] for one in images] == names
    assert all(one['src'].startswith('data:image/jpeg;base64,') for one in images)
    assert search(pictures, clip, '-o', str(page)) == 1
    assert 'earlier run' in capsys.readouterr().err
    assert search(pictures, clip, '-o', str(page), '--force') == 0


@pytest.mark.slow
def test_times_of_a_recording_are_apart(tmp_path, clip, capsys):
    bag = tmp_path / 'bag'
    write_rgbd_bag(bag, generated_frames(20, (24, 32)))
    assert search(bag, clip, '--apart', '0.15', '--every', '2', '--json') == 0
    written = json.loads(capsys.readouterr().out)
    assert written['images'] == 10
    stamps_ns = sorted(one['stamp_ns'] for one in written['found'])
    assert len(stamps_ns) > 1
    assert np.diff(stamps_ns).min() >= 0.15e9
    values = [one['similarity'] for one in written['found']]
    assert values == sorted(values, reverse=True)


def test_bad_arguments_are_refused(pictures, clip, tmp_path, capsys):
    for flags, text in (
        (('--every', '0'), '--every: expected at least 1'),
        (('--count', '0'), '--count: expected at least 1'),
        (('--apart', '-1'), '--apart: expected at least 0'),
    ):
        assert search(pictures, clip, *flags) == 2
        assert text in capsys.readouterr().err
    assert main(['search', str(pictures), ' ']) == 2
    assert 'what to search for' in capsys.readouterr().err
    vit = write_classifier(tmp_path / 'vit', 'vit')
    assert search(pictures, vit) == 2
    assert 'compares images with text' in capsys.readouterr().err
    assert main(['search', str(pictures), 'x ' * 500, '--set', f'scene.model={clip}']) == 2
