"""The page of the service in Chromium: wide and narrow, light and dark, with photo and webcam."""

import base64
import time

import pytest

pytest.importorskip('fastapi')

from chromium import chromium
import cv2
import numpy as np

pytestmark = pytest.mark.slow
SIZE_HW = (120, 160)
ARGUMENTS = ('--set', 'describer.model=stub')


@pytest.fixture(scope='module')
def browser():
    """A browser with a webcam that shows a test picture."""
    with chromium('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream') as page:
        yield page


def wait_for(browser, condition):
    end = time.monotonic() + 60
    while not browser.run(f'Boolean({condition})'):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def drop(browser, data, name='table.png'):
    """Drop a file on the page."""
    text = base64.b64encode(data).decode()
    browser.run(
        f"""(() => {{
        const bytes = Uint8Array.from(atob('{text}'), (one) => one.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], '{name}'));
        document.body.dispatchEvent(new DragEvent('drop', {{dataTransfer, bubbles: true}}));
        }})()"""
    )


def picture():
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), np.uint8)
    return cv2.imencode('.png', cv2.GaussianBlur(noise, (0, 0), 4))[1].tobytes()


@pytest.mark.parametrize('width', [390, 1280])
@pytest.mark.parametrize('dark', [False, True])
def test_a_photo_is_shown(browser, service, width, dark):
    browser.open(f'{service.address}/', width=width, dark=dark)
    assert browser.run('document.documentElement.scrollWidth') <= width
    drop(browser, picture())
    wait_for(browser, "!document.getElementById('result').hidden")
    for kind in ('depth', 'features', 'image', 'objects'):
        browser.run(f"document.querySelector('[data-kind={kind}]').click()")
        wait_for(browser, '[...document.images].every((one) => one.complete)')
        assert browser.run('[...document.images].every((one) => one.alt && one.naturalWidth)')
        legend = browser.run("!document.getElementById('legend').hidden")
        assert legend == (kind == 'depth')
    assert browser.run('document.documentElement.scrollWidth') <= width
    assert browser.run("document.getElementById('objects').tBodies[0].rows.length") > 0
    colors = (
        '(() => { view.draw(); const {width, height} = view.canvas;'
        ' const {data} = view.context.getImageData(0, 0, width, height);'
        ' return new Set(new Uint32Array(data.buffer)).size; })()'
    )
    assert browser.run(colors) > 100
    before = browser.run('view.yaw')
    wait_for(browser, f'view.yaw !== {before}')
    browser.run("document.querySelector('[data-view=front]').click()")
    assert browser.run('view.yaw') == 0
    assert browser.errors == []
    paper = browser.run('getComputedStyle(document.body).backgroundColor')
    assert (sum(map(int, paper[4:-1].split(','))) < 200) == dark


def test_a_file_that_is_no_image_is_refused_in_words(browser, service):
    browser.open(f'{service.address}/', width=1280)
    drop(browser, b'%PDF-1.7', 'paper.pdf')
    wait_for(browser, "document.getElementById('status').classList.contains('problem')")
    assert 'expected a jpeg' in browser.run("document.getElementById('status').textContent")
    assert browser.run("document.getElementById('result').hidden")


def test_a_question_about_the_photo_is_answered(browser, service):
    browser.open(f'{service.address}/', width=390)
    drop(browser, picture())
    wait_for(browser, "!document.getElementById('result').hidden")
    browser.run("document.getElementById('question').value = 'what is this?'")
    browser.run("document.getElementById('ask').requestSubmit()")
    answer = "document.getElementById('answer').textContent"
    wait_for(browser, f"{answer}.startsWith('an image of 160 x 120 pixels')")
    assert browser.errors == []
    browser.run("document.getElementById('question').value = ' '")
    browser.run("document.getElementById('ask').requestSubmit()")
    wait_for(browser, "document.getElementById('answer').classList.contains('problem')")
    assert 'expected words, got none' in browser.run(answer)
    assert browser.run('document.documentElement.scrollWidth') <= 390


def test_the_webcam_is_processed_until_it_is_stopped(browser, service):
    browser.open(f'{service.address}/', width=1280)
    name = 'robot_perception_requests_total{path="/v1/scene",status="200"}'
    before = service.metric(name)
    browser.run("document.getElementById('webcam').click()")
    wait_for(browser, "!document.getElementById('result').hidden")
    wait_for(browser, "document.getElementById('status').textContent.startsWith('webcam: ')")
    end = time.monotonic() + 60
    while service.metric(name) < before + 3:
        assert time.monotonic() < end
        time.sleep(0.1)
    browser.run("document.getElementById('webcam').click()")
    wait_for(browser, "document.getElementById('video').hidden")
    assert browser.errors == []
