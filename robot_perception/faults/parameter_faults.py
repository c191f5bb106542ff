"""Row 17: every parameter set to values without a meaning."""

from __future__ import annotations

import math
import time

from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter

from robot_perception.conversions import Message
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.outcome import Trials
from robot_perception.pipeline import PerceptionConfig, Value

_VALUES: tuple[Value, ...] = (-1, 0, math.nan, math.inf, 1e300, '', 'x' * 65536)
# Of every parameter.
CASES = tuple((item.name, value) for item in PerceptionConfig().parameters() for value in _VALUES)
_ANSWER_LIMIT_S = 1.0


def set_parameters(trials: int, seed: int) -> Trials:
    """Set parameters to wrong values; the node must answer and work with the old ones again."""
    failures: list[str] = []
    refused = 0
    slowest_s = 0.0
    with NodeProcess() as node:
        for name, value in CASES[seed % 2 :: max(len(CASES) // trials, 1)][:trials]:
            case = f'{name} = {str(value)[:8]!r}'
            before = node.call(
                GetParameters, 'get_parameters', GetParameters.Request(names=[name])
            )
            begin_s = time.monotonic()
            is_set = _set(node, Parameter(name, value=value).to_parameter_msg())
            slowest_s = max(slowest_s, time.monotonic() - begin_s)
            if before is None or is_set is None:
                failures.append(f'{case}: no answer')
                break
            refused += not is_set
            if is_set:
                old = Parameter(name, value=None).to_parameter_msg()
                old.value = before.values[0]
                if not _set(node, old):
                    failures.append(f'{case}: the old value is refused afterwards')
            problem = node.send_golden()
            if problem:
                failures.append(f'{case}: {problem}')
        failures += node.check_survival()
    if slowest_s > _ANSWER_LIMIT_S:
        failures.append(f'an answer took {slowest_s:.1f} s')
    figures = {'parameters_refused': float(refused), 'answer_max_s': slowest_s}
    return Trials(min(trials, len(CASES)), tuple(failures), figures)


def _set(node: NodeProcess, parameter: Message) -> bool | None:
    """Set a parameter; return whether that succeeded, None without an answer."""
    request = SetParameters.Request(parameters=[parameter])
    response = node.call(SetParameters, 'set_parameters', request)
    return None if response is None else bool(response.results[0].successful)
