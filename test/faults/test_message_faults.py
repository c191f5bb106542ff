"""Short forms of the rows of the fault table about malformed messages."""

import pytest

pytest.importorskip('rclpy')

from robot_perception.faults.cdr_mutations import mutated_bytes
from robot_perception.faults.message_faults import MESSAGE_FAULTS, TRANSFORM_FAULT
from robot_perception.faults.middleware_faults import send_broken
from robot_perception.faults.mutation import Verdict
from robot_perception.faults.node_inputs import NODE_INPUTS
from robot_perception.sources import Role

pytestmark = [pytest.mark.slow, pytest.mark.ros]


@pytest.mark.parametrize(
    'fault', [*MESSAGE_FAULTS, TRANSFORM_FAULT], ids=lambda fault: fault.name[:30]
)
def test_the_pass_mark_is_met(fault):
    outcome = fault.run(fault.short, seed=1)
    assert not outcome.failures
    assert outcome.trials >= fault.short


def test_the_node_goes_on_after_broken_calibrations_over_dds():
    (calibrations,) = (one for one in NODE_INPUTS if one.role is Role.CAMERA_INFO)
    outcome = send_broken(100, 1, (calibrations,))
    assert not outcome.failures
    assert (outcome.trials, outcome.figures['golden']) == (100, 2)
    # About a third can be read nevertheless.
    assert 10 < outcome.figures['readable'] < 90


def test_cut_messages_are_shorter():
    data = bytes(range(256))
    cut = [
        one.subject for one in mutated_bytes(lambda _: data, 90) if one.verdict is Verdict.REFUSED
    ]
    assert len(cut) == 20
    assert all(len(one) < 256 and data.startswith(one) for one in cut)
