"""The page of an evaluation in Chromium: wide and narrow, light and dark, by mouse and keys."""

from functools import partial
import json

from chromium import chromium
import numpy as np
import pytest
from reasons import raises
from truths import example_truth, perfect

from robot_perception import evaluation
from robot_perception.core.errors import SourceError
from robot_perception.evaluation import (
    EvaluatedFrame,
    read_baseline,
    results_to_dict,
    write_page,
    write_results,
)

pytestmark = pytest.mark.slow
Evaluation = partial(evaluation.Evaluation, resamples=10)


def evaluated():
    """Return a report and four frames: perfect, without objects, without half, without depth."""
    measured, cases = Evaluation(), []
    for seed in range(4):
        truth = example_truth(seed)
        scene = perfect(truth)
        if seed == 1:
            scene = perfect(truth, detections=truth.detections[:0], objects=(), masks=None)
        if seed == 2:
            scaled = truth.depth.meters * np.float32(1.5)
            scene = perfect(truth, depth=type(truth.depth)(scaled))
        name = f'a long name of a frame without any space/{"x" * 60}{seed}'
        cases.append(EvaluatedFrame(name, scene, truth, measured.add(scene, truth)))
    return measured.report(), cases


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """A browser, and the path of a page with an earlier run beside."""
    folder = tmp_path_factory.mktemp('report')
    report, cases = evaluated()
    results = results_to_dict(report, {}, None, [])
    results['rows'] = [
        {**row, 'value': row['value'] and row['value'] * 0.9} for row in results['rows']
    ]
    write_results(results, folder / 'results.json')
    path = folder / 'report.html'
    baseline = read_baseline(folder / 'results.json')
    write_page(report, cases, {'Predictions': 'x' * 200}, path, baseline)
    with chromium() as browser:
        yield browser, path


@pytest.mark.parametrize('width', [390, 1280])
@pytest.mark.parametrize('dark', [False, True])
def test_it_fits_without_errors(page, width, dark):
    browser, path = page
    browser.open(path, width=width, dark=dark)
    assert browser.errors == []
    assert browser.run('document.documentElement.scrollWidth') <= width
    colors = browser.run('getComputedStyle(document.body).backgroundColor')
    assert (sum(map(int, colors[4:-1].split(','))) < 200) == dark
    assert browser.run("[...document.querySelectorAll('#frames img')].every((one) => one.alt)")
    assert browser.run("[...document.querySelectorAll('svg')].every((one) => one.ariaLabel)")


def test_frames_are_sorted_and_filtered(page):
    browser, path = page
    browser.open(path, width=1280)
    shown = (
        "[...document.querySelectorAll('#frames figure')].filter((one) => !one.hidden)"
        '.map((one) => one.textContent.trim().match(/x(\\d)/)[1]).join()'
    )
    choose = (
        "{{ const one = document.getElementById('{}'); one.value = '{}';"
        " one.dispatchEvent(new Event('change')); }}"
    )
    assert browser.run(shown).startswith('1')
    assert len(browser.run(shown)) == 7
    browser.run(choose.format('kind', 1))
    assert browser.run(shown) == '1'
    browser.run(choose.format('kind', 4))
    assert browser.run(shown) == '2'
    name = browser.run("document.getElementById('class').options[1].value")
    browser.run(choose.format('kind', 0))
    browser.run(choose.format('class', name))
    assert browser.run(shown) == '1'
    assert browser.run("document.getElementById('shown').textContent") == '1 frames'


def test_a_frame_opens_at_its_size_and_escape_closes_it(page):
    browser, path = page
    browser.open(path, width=1280)
    is_open = "document.getElementById('zoom').open"
    name = "document.getElementById('zoom-name').textContent"
    browser.run("document.querySelector('#frames button').click()")
    assert browser.run(is_open)
    first = browser.run(name)
    browser.press('ArrowRight')
    assert browser.run(name) != first
    browser.press('ArrowLeft')
    assert browser.run(name) == first
    browser.run("document.getElementById('zoom-size').click()")
    image = "document.getElementById('zoom-image').getBoundingClientRect().width"
    assert browser.run(image) > 2000
    browser.press('Escape')
    assert not browser.run(is_open)
    assert browser.errors == []


def test_tables_are_sorted_and_two_runs_stand_side_by_side(page):
    browser, path = page
    browser.open(path, width=1280)
    column = (
        "[...document.querySelector('#metrics').tBodies[0].rows]"
        '.map((row) => parseFloat(row.cells[2].textContent)).filter((one) => !isNaN(one))'
    )
    click = "document.querySelectorAll('#metrics th button')[2].click()"
    browser.run(click)
    values = browser.run(column)
    assert values == sorted(values)
    browser.run(click)
    assert browser.run(column) == values[::-1]
    text = browser.run("document.querySelector('#metrics').innerText")
    assert 'earlier' in text
    assert browser.run("document.querySelectorAll('#metrics td.better').length") > 3
    assert browser.run("document.querySelectorAll('table.matrix').length") == 2


def test_a_file_that_is_no_earlier_evaluation(tmp_path):
    path = tmp_path / 'results.json'
    for content in ('', '[]', '{}', json.dumps({'schema': 'robot_perception/evaluation'}), '7'):
        path.write_text(content)
        with raises(SourceError, 'wrong_format'):
            read_baseline(path)
    with raises(SourceError, 'cannot_read'):
        read_baseline(tmp_path / 'none.json')
