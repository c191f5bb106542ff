"""The fault table: each fault, what must happen, and how that is tested."""

from __future__ import annotations

from robot_perception.core import ConfigError
from robot_perception.faults.bag_faults import damage_bags, interrupt_runs
from robot_perception.faults.camera_faults import lose_camera
from robot_perception.faults.fault import Fault
from robot_perception.faults.lifecycle_faults import change_states
from robot_perception.faults.load_faults import flood, outrun_networks
from robot_perception.faults.message_faults import (
    MESSAGE_FAULTS,
    MIDDLEWARE_FAULTS,
    TRANSFORM_FAULT,
)
from robot_perception.faults.model_faults import load_hostile_models
from robot_perception.faults.network_faults import (
    exhaust_memory,
    fail_to_load,
    lose_gpu_or_hang,
    raise_exceptions,
)
from robot_perception.faults.parameter_faults import CASES, set_parameters
from robot_perception.faults.signal_faults import signal_node
from robot_perception.faults.time_faults import jump_clocks
from robot_perception.faults.transform_faults import break_transforms
from robot_perception.faults.watch_faults import disturb_camera

CATALOGUE: tuple[Fault, ...] = (
    *MIDDLEWARE_FAULTS,
    *MESSAGE_FAULTS,
    Fault(
        9,
        'Clock jumps, a bag loops, stamps cannot be used',
        'Depth, transforms and tracks of before are dropped; zero, repeated and future stamps are '
        'processed with a warning',
        'output within 1 s, no track number of before a restart',
        250,
        10,
        jump_clocks,
    ),
    Fault(
        10,
        'Camera lost and back with another size and QoS',
        'The same process goes on; silence is STALE',
        'output within 1 s of the first image that the node receives, of its size; at most 5 % of '
        'the images dropped; STALE in every silence above 3 s',
        100,
        3,
        lose_camera,
    ),
    Fault(
        11,
        'Camera stuck, garbage, slow or off',
        'The fault is named in `frames` of /diagnostics and ends with it',
        'named within 2 s and the 0.5 s that a report may take; no false alarm in 1 h of a static '
        'scene with noise',
        12,
        2,
        disturb_camera,
    ),
    Fault(
        12,
        'GPU out of memory at inference',
        'Memory is freed and the network runs again; at the second failure it moves to the CPU '
        'with a warning',
        'no frame lost at one failure in 10 frames; memory grows by at most 20 MiB',
        1000,
        20,
        exhaust_memory,
    ),
    Fault(
        13,
        'GPU out of memory at load',
        'Configuring fails with the reason and can be repeated',
        'memory grows by at most 20 MiB; the next load works',
        50,
        3,
        fail_to_load,
    ),
    Fault(
        14,
        'GPU lost; a stage hangs',
        'A lost GPU ends the process with 1. The first hang is given up and frames go on, the '
        'second ends the process with 1. Native code that holds the GIL gets it killed',
        'end within 5 s, hang given up and GIL held within 10 s, output within 30 s of a restart',
        21,
        3,
        lose_gpu_or_hang,
    ),
    Fault(
        15,
        'Inference slower than the camera',
        'The newest image wins; nothing queues',
        '30 images a second, 0.2 s each: age p99 at most twice the time of a frame, memory of the '
        'second half grows by at most 20 MiB',
        18000,
        90,
        outrun_networks,
    ),
    Fault(
        16,
        'Flood of images',
        'Memory is bounded and services answer',
        'trials are seconds, of one publisher with 1000 and of ten with 100 images a second: at '
        'most 64 MiB more, answers within 1 s, golden output within 2 s afterwards',
        60,
        2,
        flood,
    ),
    Fault(
        17,
        'Exception in a stage',
        'The frame is lost and counted; the error is in `model` of /diagnostics',
        'each of the five networks raises so often: exact counts, next output golden',
        100,
        2,
        raise_exceptions,
    ),
    Fault(
        17,
        'Parameter without a meaning',
        'It is refused, or works and can be set back',
        'every parameter to -1, 0, NaN, inf, 1e300, an empty and a 64 KiB text: answer within '
        '1 s, next output golden',
        len(CASES),
        10,
        set_parameters,
    ),
    Fault(
        18,
        'Lifecycle transitions in any order',
        'Allowed ones work while images come, others are refused',
        'memory grows by at most 20 MiB',
        200,
        2,
        change_states,
    ),
    Fault(
        18,
        'SIGTERM, SIGINT, SIGKILL at random moments',
        'Both signals end the process with 0 and without a traceback; what a killed one leaves '
        'in shared memory is removed at the next start',
        'each so often: end within 3 s',
        50,
        1,
        signal_node,
    ),
    Fault(
        19,
        'Transform missing, not finite, no rotation',
        'Results stay in the optical frame, and the frame is named',
        'no pose that is not finite or not a rotation; a good transform works afterwards',
        500,
        14,
        break_transforms,
    ),
    TRANSFORM_FAULT,
    Fault(
        20,
        'Bag cut or with flipped bits',
        'All that is whole is processed; exit code 3',
        '64 cuts and 1000 flips: at least the messages of whole chunks, results open',
        1064,
        20,
        damage_bags,
    ),
    Fault(
        21,
        'kill -9 and full disk during an offline run',
        'The same command resumes; a full disk gives one sentence and exit code 1',
        'the result equals that of a whole run byte for byte, no file is left',
        100,
        2,
        interrupt_runs,
    ),
    Fault(
        22,
        'Hostile model files',
        'Refused before anything in them runs; no network access',
        'pickles, remote code, a remote backbone, a flipped bit and a header of 200 MiB are '
        'refused, no code runs',
        6,
        6,
        load_hostile_models,
    ),
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
    first, dash, last = part.partition('-')
    return range(int(first), int(last if dash else first) + 1)
