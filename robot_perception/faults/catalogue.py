"""The fault table: each fault, what must happen, and how that is tested."""

from __future__ import annotations

from robot_perception.core import ConfigError
from robot_perception.faults.camera_faults import lose_camera
from robot_perception.faults.fault import Fault
from robot_perception.faults.lifecycle_faults import change_states
from robot_perception.faults.load_faults import flood, outrun_networks
from robot_perception.faults.network_faults import (
    exhaust_memory,
    fail_to_load,
    lose_gpu_or_hang,
    raise_exceptions,
)
from robot_perception.faults.parameter_faults import set_parameters
from robot_perception.faults.signal_faults import signal_node
from robot_perception.faults.time_faults import jump_clocks
from robot_perception.faults.transform_faults import break_transforms
from robot_perception.faults.watch_faults import disturb_camera

CATALOGUE: tuple[Fault, ...] = (
    Fault(
        9,
        'clock that jumps, bag that loops, unusable stamps',
        'jump',
        'm',
        180,
        10,
        jump_clocks,
    ),
    Fault(10, 'camera', 'b', 'm', 100, 3, lose_camera),
    Fault(11, 'watch', 'b', 'm', 12, 2, disturb_camera),
    Fault(12, 'oom', 'b', 'm', 1000, 20, exhaust_memory),
    Fault(13, 'load', 'b', 'm', 50, 3, fail_to_load),
    Fault(14, 'gpu', 'b', 'm', 20, 2, lose_gpu_or_hang),
    Fault(15, 'slow', 'b', 'm', 18000, 90, outrun_networks),
    Fault(16, 'flood', 'b', 'm', 60, 2, flood),
    Fault(17, 'raise', 'b', 'm', 100, 2, raise_exceptions),
    Fault(17, 'par', 'b', 'm', 350, 10, set_parameters),
    Fault(18, 'life', 'b', 'm', 200, 2, change_states),
    Fault(18, 'sig', 'b', 'm', 50, 1, signal_node),
    Fault(19, 'tf', 'b', 'm', 500, 14, break_transforms),
)


def find_faults(rows: str = '') -> tuple[Fault, ...]:
    """Return the rows of a list such as ``'1,9-12'``, all for an empty one.

    Raises:
        ConfigError: the list is not understood, or a row does not exist.
    """
    if not rows:
        return CATALOGUE
    known = dict.fromkeys(fault.row for fault in CATALOGUE)
    try:
        wanted = {number for part in rows.split(',') for number in _span(part)}
        if not wanted or not wanted <= set(known):
            raise ValueError(rows)  # noqa: TRY301 - one message
    except ValueError:
        raise ConfigError(
            'unknown_row',
            f'--rows: expected rows of the fault table such as 1,9-12, got {rows!r}. '
            f'The rows are {", ".join(str(row) for row in known)}.',
        ) from None
    return tuple(fault for fault in CATALOGUE if fault.row in wanted)


def _span(part: str) -> range:
    first, _, last = part.partition('-')
    return range(int(first), int(last or first) + 1)
