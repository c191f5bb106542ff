"""Row 18: transitions in any order, and signals at any moment."""

from __future__ import annotations

import time

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import GetState

from robot_perception.faults.camera import calibration, random_image
from robot_perception.faults.mutation import seeded
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.outcome import Trials

_RSS_LIMIT_MIB = 20.0
_WARM_UP = 5
_CONFIGURE, _CLEANUP, _ACTIVATE, _DEACTIVATE = (
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
)
# (state, transition) -> next state.
_ALLOWED = {
    (State.PRIMARY_STATE_UNCONFIGURED, _CONFIGURE): State.PRIMARY_STATE_INACTIVE,
    (State.PRIMARY_STATE_INACTIVE, _CLEANUP): State.PRIMARY_STATE_UNCONFIGURED,
    (State.PRIMARY_STATE_INACTIVE, _ACTIVATE): State.PRIMARY_STATE_ACTIVE,
    (State.PRIMARY_STATE_ACTIVE, _DEACTIVATE): State.PRIMARY_STATE_INACTIVE,
}
_ROUND = (_DEACTIVATE, _CLEANUP, _CONFIGURE, _ACTIVATE)


def change_states(trials: int, seed: int) -> Trials:
    """Go through all states while images come, each time with one transition that is refused."""
    choices = seeded(seed)
    failures: list[str] = []
    slowest_s = first_mib = 0.0
    with NodeProcess() as node:
        state = State.PRIMARY_STATE_ACTIVE
        for trial in range(trials):
            if trial == min(_WARM_UP, trials - 1):
                first_mib = node.use().rss_mib
            steps = list(_ROUND)
            steps.insert(choices.randrange(len(steps) + 1), choices.choice(_ROUND))
            for step in steps:
                node.camera_info.publish(calibration())
                node.image.publish(random_image(trial))
                expected = _ALLOWED.get((state, step))
                begin_s = time.monotonic()
                changed = node.change_state(step)
                slowest_s = max(slowest_s, time.monotonic() - begin_s)
                if changed != (expected is not None):
                    failures.append(f'round {trial}: transition {step} of {state}: {changed}')
                state = _state(node)
        growth_mib = node.use().rss_mib - first_mib
        while state != State.PRIMARY_STATE_ACTIVE and len(failures) < trials:
            step = next(one for (before, one) in _ALLOWED if before == state and one != _CLEANUP)
            node.change_state(step)
            state = _state(node)
        node.wait_for_golden()
        failures += node.check_survival()
    if growth_mib > _RSS_LIMIT_MIB:
        failures.append(f'memory grew by {growth_mib:.0f} MiB')
    figures = {'transition_max_s': slowest_s, 'rss_growth_mib': growth_mib}
    return Trials(trials, tuple(failures), figures)


def _state(node: NodeProcess) -> int:
    response = node.call(GetState, 'get_state', GetState.Request())
    return State.PRIMARY_STATE_UNKNOWN if response is None else int(response.current_state.id)
