"""The frame of the fault table: the real node in a process, and the oracle."""

import pytest

pytest.importorskip('rclpy')

from reasons import raises

from robot_perception.core import ConfigError
from robot_perception.faults import find_faults
from robot_perception.faults.faulty_process import FaultyNode

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_the_oracle_notices_a_fault_and_its_end():
    with FaultyNode() as node:
        assert node.check_survival() == ()
        with node.fault('depth raise'):
            assert 'depth/image' in node.send_golden(limit_s=1.0)
            assert node.wait_for_status('model', (2,), 'injected') is not None
        assert node.check_survival() == ()
        dropped = node.counts().dropped
        assert dropped['internal_error'] == 1
        # An image may come before the node knows its first reader.
        assert set(dropped) <= {'internal_error', 'no_subscriber'}
        assert node.stop() == 0
        assert 'ended with 0' in node.check_survival()[0]
    assert not node.log_file.parent.exists()


@pytest.mark.parametrize('rows', ['99', '1-', 'x', '1,,2'])
def test_rows_that_do_not_exist_are_refused(rows):
    with raises(ConfigError, 'unknown_row'):
        find_faults(rows)
