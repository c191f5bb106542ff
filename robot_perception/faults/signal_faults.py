"""Row 18: signals at random moments of start, load and run."""

from __future__ import annotations

import signal
import time

from robot_perception.faults.camera import calibration, random_image
from robot_perception.faults.mutation import seeded
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.outcome import Trials
from robot_perception.nodes import find_stale_segments

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
_EXIT_LIMIT_S, _GIVE_UP_S = 3.0, 20.0
# Moments are random from the start to this multiple of the time to the first output.
_RUN_FACTOR = 1.5
# Shared memory of a process that has just been killed is too young to be removed.
_STALE_S = 2.5


def signal_node(trials: int, seed: int) -> Trials:
    """End the node by each signal at so many random moments; it must end in time, and cleanly."""
    # A shell lets background jobs and their children ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    choices = seeded(seed)
    failures: list[str] = []
    slowest_s = 0.0
    clean = before_main = 0
    with NodeProcess(wait=False) as node:
        begin_s = time.monotonic()
        node.wait_for_golden()
        start_s = time.monotonic() - begin_s
        node.stop()
        for trial in range(trials * len(_SIGNALS)):
            number = _SIGNALS[trial % len(_SIGNALS)]
            logged = len(node.log())
            delay_s = choices.uniform(0.0, _RUN_FACTOR * start_s)
            node.start()
            time.sleep(delay_s)
            node.camera_info.publish(calibration())
            node.image.publish(random_image(trial))
            begin_s = time.monotonic()
            code = node.stop(number, _GIVE_UP_S)
            seconds = time.monotonic() - begin_s
            log = node.log()[logged:]
            case = f'{number.name} after {delay_s:.2f} s'
            slowest_s = max(slowest_s, seconds)
            if number == signal.SIGKILL:
                continue
            if seconds > _EXIT_LIMIT_S:
                failures.append(f'{case}: ended after {seconds:.1f} s')
            # Python itself handles the signals until the program sets its own handler.
            in_python = code == -number and not _ran(log)
            clean += code == 0
            before_main += in_python
            if code != 0 and not in_python:
                failures.append(f'{case}: ended with {code}: {log[-300:]}')
            elif 'Traceback' in log and not in_python:
                failures.append(f'{case}: {log[-300:]}')
        time.sleep(_STALE_S)
        node.start()
        node.wait_for_golden()
        failures += node.check_survival()
        stale = len(find_stale_segments())
    figures = {
        'exit_max_s': slowest_s,
        'ended_with_0': float(clean),
        'before_main': float(before_main),
        'stale_segments': float(stale),
    }
    return Trials(trials * len(_SIGNALS), tuple(failures), figures)


def _ran(log: str) -> bool:
    """Return whether a log has lines of the program, beyond a traceback of its import."""
    return 'robot_perception' in log and 'perception_node.py' in log
