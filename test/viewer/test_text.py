import numpy as np
import pytest

from robot_perception.viewer import text as text_module
from robot_perception.viewer.text import draw_text, fit_text, text_size_px, text_width


@pytest.fixture(params=['real fonts', 'Hershey strokes'])
def fonts(request, monkeypatch):
    """OpenCV 5, and what is left of it in OpenCV 4."""
    if request.param == 'Hershey strokes':
        monkeypatch.setattr(text_module, '_HAS_FONTS', False)
    elif not text_module._HAS_FONTS:
        pytest.skip('this OpenCV has no fonts')


@pytest.mark.usefixtures('fonts')
@pytest.mark.parametrize('size_px', [12, 20, 60])
def test_letters_stay_within_the_measured_width_and_around_the_middle(size_px):
    canvas = np.zeros((6 * size_px, 30 * size_px, 3), np.uint8)
    draw_text(canvas, 'Cup 0.91 · 1.24 m', (size_px, 3 * size_px), size_px, (255, 200, 100))
    rows, columns = np.nonzero(canvas.any(axis=-1))
    assert size_px - 2 <= columns.min()
    assert columns.max() <= size_px + text_width('Cup 0.91 · 1.24 m', size_px) + 2
    middle = (rows.min() + rows.max()) / 2
    assert abs(middle - 3 * size_px) < 0.3 * size_px
    red, green, blue = canvas.max(axis=(0, 1)).tolist()
    assert 255 >= red > green > blue > 60


@pytest.mark.usefixtures('fonts')
def test_text_is_cut_to_its_width():
    text = 'a rather long class name 0.91'
    width = text_width(text, 14)
    assert fit_text(text, 14, width) == text
    cut = fit_text(text, 14, width // 2)
    assert cut.endswith('…')
    assert text.startswith(cut[:-1])
    assert text_width(cut, 14) <= width // 2
    assert fit_text(text, 14, 1) == ''
    assert fit_text('', 14, 10) == ''


def test_size_follows_the_picture():
    assert text_size_px((1, 1)) == text_size_px((100, 100))
    assert text_size_px((480, 640)) < text_size_px((720, 1280)) < text_size_px((2160, 3840))
