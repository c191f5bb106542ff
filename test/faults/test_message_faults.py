"""Short forms of the rows of the fault table about malformed messages, on the stream."""

import pytest

pytest.importorskip('rclpy')

from robot_perception.faults.cdr_mutations import mutated_bytes
from robot_perception.faults.message_faults import MESSAGE_FAULTS, TRANSFORM_FAULT
from robot_perception.faults.mutation import Verdict

pytestmark = [pytest.mark.slow, pytest.mark.ros]


@pytest.mark.parametrize(
    'fault', [*MESSAGE_FAULTS, TRANSFORM_FAULT], ids=lambda fault: fault.name[:30]
)
def test_the_pass_mark_is_met(fault):
    outcome = fault.run(fault.short, seed=1)
    assert not outcome.failures
    assert outcome.trials >= fault.short


def test_cut_messages_are_shorter():
    data = bytes(range(256))
    cut = [
        one.subject for one in mutated_bytes(lambda _: data, 90) if one.verdict is Verdict.REFUSED
    ]
    assert len(cut) == 20
    assert all(len(one) < 256 and data.startswith(one) for one in cut)
