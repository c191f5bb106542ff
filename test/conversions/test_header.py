"""Headers are read and written exactly."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
import pytest
from reasons import raises

from robot_perception import conversions
from robot_perception.conversions import header_message, read_header
from robot_perception.core.errors import ConversionError


@pytest.mark.parametrize('stamp_ns', [0, 1, 999_999_999, 10**9, (2**31 - 1) * 10**9 + 999_999_999])
@pytest.mark.parametrize('frame_id', ['', 'camera', '/old', 'f' * 4096, 'k\u00fcche'])
def test_round_trip(factory, on_the_wire, stamp_ns, frame_id):
    message = on_the_wire(header_message(factory, stamp_ns, frame_id))
    assert read_header(message) == (stamp_ns, frame_id)


@given(st.integers(0, 2**31 - 1), st.integers(0, 10**9 - 1))
def test_nanoseconds_are_exact(sec, nanosec):
    stamp = SimpleNamespace(sec=sec, nanosec=nanosec)
    stamp_ns, _ = read_header(SimpleNamespace(stamp=stamp, frame_id=''))
    assert divmod(stamp_ns, 10**9) == (sec, nanosec)


@pytest.mark.parametrize('stamp_ns', [-1, 2**31 * 10**9])
def test_times_out_of_range_are_rejected(factory, stamp_ns):
    with raises(ConversionError, 'stamp', r'stamp_ns: expected 0 to 2\^31 s.*got -?\d+ ns'):
        header_message(factory, stamp_ns, '')


def test_a_header_without_stamp_is_rejected():
    with raises(ConversionError, 'stamp', 'stamp: expected integers sec and nanosec'):
        read_header(SimpleNamespace(frame_id=''))


def test_public_names_exist():
    assert all(hasattr(conversions, name) for name in conversions.__all__)
