"""The fallback to cv_bridge.

No registry has a cv_bridge for ROS 2, so a module of that name stands in for each way in which
the real one behaves: it works, it is missing, it breaks at import, it breaks on the message.
"""

import sys
from types import ModuleType

from image_messages import raw_image, STAMP_NS
import numpy as np
import pytest
from reasons import raises

from robot_perception.conversions import to_image
from robot_perception.conversions.cv_bridge_fallback import _bridge
from robot_perception.core.errors import ConversionError

RGB16 = np.random.default_rng(1).integers(0, 65536, (6, 8, 3), np.uint16)
RGB = (RGB16 >> 8).astype(np.uint8)


@pytest.fixture
def install(monkeypatch):
    """Install a fake cv_bridge with the given conversion function."""

    def put(convert):
        class CvBridge:
            imgmsg_to_cv2 = staticmethod(convert)

            def encoding_to_dtype_with_channels(self, _encoding):
                return 'uint16', 3

        module = ModuleType('cv_bridge')
        module.CvBridge = CvBridge
        monkeypatch.setitem(sys.modules, 'cv_bridge', module)

    _bridge.cache_clear()
    yield put
    _bridge.cache_clear()


def test_rare_encodings_are_converted_by_cv_bridge(install):
    asked = []

    def convert(message, encoding):
        asked.append((message.encoding, encoding))
        return RGB

    install(convert)
    image = to_image(raw_image(RGB16, 'rgb_of_16'))
    np.testing.assert_array_equal(image.rgb, RGB)
    assert (image.stamp_ns, image.frame_id) == (STAMP_NS, 'camera_optical_frame')
    assert asked == [('rgb_of_16', 'rgb8')]


@pytest.mark.parametrize('padding', [0, 4, 6])
def test_padding_of_rows_does_not_reach_cv_bridge(install, padding):
    """The real one takes every 6 bytes of padding for a pixel, and fails on 4."""

    def convert(message, _encoding):
        assert message.step == 8 * 6
        rows = np.frombuffer(message.data, np.uint16).reshape(6, 8, 3)
        return (rows >> 8).astype(np.uint8)

    install(convert)
    message = raw_image(RGB16, 'rgb_of_16', padding=padding)
    np.testing.assert_array_equal(to_image(message).rgb, RGB)
    assert message.step == 8 * 6 + padding, 'the message itself is not changed'


def test_encodings_that_cv_bridge_does_not_know(monkeypatch):
    module = ModuleType('cv_bridge')
    module.CvBridge = object
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    _bridge.cache_clear()
    with raises(ConversionError, 'encoding', r"got 'rgb_of_16' \(cv_bridge: 'object' object has"):
        to_image(raw_image(RGB16, 'rgb_of_16'))
    _bridge.cache_clear()


def test_the_table_takes_precedence(install):
    install(lambda *_: pytest.fail('rgb8 needs no cv_bridge'))
    np.testing.assert_array_equal(to_image(raw_image(RGB, 'rgb8')).rgb, RGB)


def test_bad_messages_do_not_reach_cv_bridge(install):
    install(lambda *_: pytest.fail('not checked first'))
    for changes, reason in [
        ({'data': b'abc'}, 'data'),
        ({'step': 7}, 'step'),
        ({'width': 0}, 'size'),
        ({'height': 2**32 - 1}, 'too_large'),
        ({'sec': -1}, 'stamp'),
        ({'encoding': 'rgb_of_16; rm'}, 'encoding'),
    ]:
        with raises(ConversionError, reason):
            to_image(raw_image(RGB16, 'rgb_of_16', **changes))


@pytest.mark.parametrize(
    ('result', 'match'),
    [
        (RGB[:3], r"got 'rgb_of_16' \(cv_bridge returned \(3, 8, 3\) uint8\)"),
        (RGB16, r'cv_bridge returned \(6, 8, 3\) uint16'),
        (None, r'cv_bridge returned \(\) object'),
    ],
)
def test_invalid_results_are_rejected(install, result, match):
    install(lambda *_: result)
    with raises(ConversionError, 'encoding', match):
        to_image(raw_image(RGB16, 'rgb_of_16'))


@pytest.mark.parametrize('error', [TypeError('buffer is too small'), RuntimeError('nope')])
def test_exceptions_of_cv_bridge_are_conversion_errors(install, error):
    def convert(*_):
        raise error

    install(convert)
    with raises(ConversionError, 'encoding', rf"got 'rgb_of_16' \(cv_bridge: {error}\)"):
        to_image(raw_image(RGB16, 'rgb_of_16'))


@pytest.mark.parametrize(
    'source',
    [
        "raise ImportError('numpy.core.multiarray failed to import')",
        "raise AttributeError('_ARRAY_API not found')",
        "raise SystemError('initialization failed')",
        'CvBridge = None',
    ],
)
def test_a_broken_installation_is_imported_once(tmp_path, monkeypatch, source):
    (tmp_path / 'cv_bridge.py').write_text(
        f'import builtins\nbuiltins.cv_bridge_tries += 1\n{source}\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr('builtins.cv_bridge_tries', 0, raising=False)
    monkeypatch.delitem(sys.modules, 'cv_bridge', raising=False)
    _bridge.cache_clear()
    try:
        for _ in range(3):
            with raises(ConversionError, 'encoding', r'cv_bridge cannot be used here: .+'):
                to_image(raw_image(RGB16, 'rgb_of_16'))
        assert sys.modules['builtins'].cv_bridge_tries == 1
    finally:
        _bridge.cache_clear()
        sys.modules.pop('cv_bridge', None)
