"""The page of frames in Chromium: wide and narrow, light and dark, by mouse and keys."""

from dataclasses import replace
import time

from chromium import chromium
import pytest
from scenes import example_scene

from robot_perception.core import Scene
from robot_perception.viewer import Gallery, Link, Step, Table

pytestmark = pytest.mark.slow
SIZE_HW = (96, 128)
NAME = f'a long name without any space {"x" * 80}.jpg'


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """A browser, and the path of a page: with truth, without, relative depth, nothing at all."""
    gallery = Gallery(tmp_path_factory.mktemp('page'), 'Frames', ['x' * 200])
    scenes = [example_scene(seed, SIZE_HW, relative=seed == 2) for seed in range(3)]
    gallery.add(scenes[0], 0, replace(example_scene(5, SIZE_HW), image=scenes[0].image))
    gallery.add(scenes[1], 1)
    gallery.add(replace(scenes[2], image=replace(scenes[2].image, name=NAME)), 2)
    gallery.add(Scene(scenes[0].image), 3)
    path = gallery.finish(
        lead='All is well.',
        tables=[Table('Times', ('stage', 'ms'), (('x' * 80, 1.0),))],
        links=[Link('index.html', 'this page')],
        steps=[Step('Then:', 'echo ' + 'x' * 200)],
    )
    with chromium() as browser:
        yield browser, path


def opened(page, **options):
    browser, path = page
    # A page whose address differs by its fragment only would not be loaded again.
    browser.call('Page.navigate', url='about:blank')
    browser.open(path, **{'width': 1280, **options})
    wait_for(browser, 'loaded.get(0)')
    return browser


def wait_for(browser, condition):
    end = time.monotonic() + 30
    while not browser.run(f'Boolean({condition})'):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def read_text(browser, name):
    return browser.run(f"document.getElementById('{name}').textContent")


def drawn_colors(browser):
    """Return how many colors the cloud has on the canvas."""
    return browser.run(
        '(() => { view.draw(); const {width, height} = view.canvas;'
        ' const {data} = view.context.getImageData(0, 0, width, height);'
        ' return new Set(new Uint32Array(data.buffer)).size; })()'
    )


@pytest.mark.parametrize('width', [390, 1280])
@pytest.mark.parametrize('dark', [False, True])
def test_it_fits_without_errors(page, width, dark):
    browser = opened(page, width=width, dark=dark)
    for index in range(4):
        browser.run(f'show({index})')
        wait_for(browser, f'loaded.get({index})')
        for kind in ('objects', 'depth', 'features'):
            browser.run(f"document.querySelector('[data-kind={kind}]').click()")
            wait_for(browser, '[...document.images].every((one) => one.complete)')
            assert browser.run('document.documentElement.scrollWidth') <= width
            assert browser.run('[...document.images].every((one) => one.alt && one.naturalWidth)')
    assert browser.errors == []
    colors = browser.run('getComputedStyle(document.body).backgroundColor')
    assert (sum(map(int, colors[4:-1].split(','))) < 200) == dark


def test_frames_are_chosen_by_buttons_keys_and_slider(page):
    browser = opened(page)
    assert read_text(browser, 'frame-name').startswith('1 of 4')
    browser.run("document.getElementById('next').click()")
    assert read_text(browser, 'frame-name').startswith('2 of 4')
    browser.press('ArrowRight')
    assert NAME in read_text(browser, 'frame-name')
    browser.press('ArrowLeft')
    browser.run("document.getElementById('previous').click()")
    browser.press('ArrowLeft')
    assert read_text(browser, 'frame-name').startswith('1 of 4')
    browser.run("document.getElementById('slider').focus()")
    browser.press('ArrowRight')
    assert read_text(browser, 'frame-name').startswith('2 of 4')
    browser.run("document.getElementById('play').click()")
    wait_for(browser, "document.getElementById('frame-name').textContent.startsWith('4 of 4')")
    browser.press('ArrowLeft')
    assert browser.run("document.getElementById('play').title") == 'Play'
    assert browser.errors == []


def test_prediction_stands_beside_truth_or_the_image(page):
    browser = opened(page)
    shown = (
        "['left', 'right'].map((id) => document.getElementById(id).src.split('/').pop()).join()"
    )
    assert browser.run(shown) == 'objects.jpg,truth_objects.jpg'
    browser.run("document.querySelector('[data-kind=depth]').click()")
    assert browser.run(shown) == 'depth.jpg,truth_depth.jpg'
    assert not browser.run("document.getElementById('legend').hidden")
    assert read_text(browser, 'near').endswith(' m')
    browser.run("document.querySelector('[data-kind=features]').click()")
    assert browser.run(shown) == 'features.jpg,image.jpg'
    browser.run("document.querySelector('[data-kind=depth]').click()")
    browser.run('show(2)')
    wait_for(browser, "document.getElementById('far').textContent === 'far, no unit'")
    assert browser.run(shown) == 'depth.jpg,image.jpg'
    browser.run('show(3)')
    assert browser.run(shown) == 'image.jpg,image.jpg'
    assert read_text(browser, 'left-text') == 'no depth in this frame'


def test_the_cloud_turns_and_the_objects_are_listed(page):
    browser = opened(page)
    wait_for(browser, "document.getElementById('objects').tBodies[0].rows.length === 3")
    row = browser.run("document.getElementById('objects').tBodies[0].rows[0].innerText")
    assert ' \N{MULTIPLICATION SIGN} ' in row
    assert drawn_colors(browser) > 500
    before = browser.run('view.yaw')
    browser.run("document.getElementById('cloud').scrollIntoView({block: 'center'})")
    box = browser.run(
        "(() => { const box = document.getElementById('cloud').getBoundingClientRect();"
        ' return [box.left + box.width / 2, box.top + box.height / 2]; })()'
    )
    for kind, shift in (('mousePressed', 0), ('mouseMoved', 60), ('mouseReleased', 60)):
        browser.call(
            'Input.dispatchMouseEvent', type=kind, x=box[0] + shift, y=box[1], button='left',
            buttons=1, clickCount=1,
        )  # fmt: skip
    assert browser.run('view.yaw') != before
    browser.run("document.querySelector('[data-view=front]').click()")
    assert browser.run('view.yaw') == 0
    browser.run('show(3)')
    wait_for(browser, "document.getElementById('cloud-figure').classList.contains('empty')")
    assert 'no metric depth' in read_text(browser, 'cloud-text')
    assert browser.errors == []


def test_a_file_that_is_missing_is_named(page, tmp_path):
    browser, path = page
    copy = tmp_path / 'index.html'
    copy.write_bytes(path.read_bytes())
    browser.open(copy, width=1280)
    wait_for(browser, "document.getElementById('cloud-text').textContent.includes('is missing')")
