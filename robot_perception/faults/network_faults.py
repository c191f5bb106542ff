"""Rows 12 to 14 and 17: networks that fail, by injected errors with the texts of torch."""

from __future__ import annotations

import signal
import time

from lifecycle_msgs.msg import Transition

from robot_perception.faults.camera import random_image
from robot_perception.faults.faulty_process import FaultyNode
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.observation import ERROR, OK, WARN
from robot_perception.faults.outcome import Trials

_FRAME_LIMIT_S = 15.0
_RSS_LIMIT_MIB = 20.0
_FATAL_LIMIT_S, _HANG_LIMIT_S, _RESPAWN_LIMIT_S = 5.0, 10.0, 30.0
_POINTS = ('features', 'depth', 'detector', 'encoder', 'segmenter')
_EXCEPTIONS = ('raise', 'exit', 'memory')


def exhaust_memory(trials: int, seed: int) -> Trials:
    """Let one in ten frames run out of GPU memory, then a network for good."""
    failures: list[str] = []
    with FaultyNode() as node:
        before = node.use().rss_mib
        with node.fault('depth oom every=10'):
            # A retry is the next call.
            failures += _send(node, trials, seed)
        counts = node.counts()
        failures += node.check_survival()
        growth_mib = node.use().rss_mib - before
        with node.fault('depth oom times=2'):
            failures += [problem for problem in (node.send_golden(_FRAME_LIMIT_S),) if problem]
            if node.wait_for_status('model', (WARN,), 'now runs on the CPU') is None:
                failures.append('the move to the CPU is not reported')
        failures += node.check_survival()
    lost = sum(counts.dropped.values())
    if growth_mib > _RSS_LIMIT_MIB:
        failures.append(f'memory grew by {growth_mib:.0f} MiB')
    return Trials(
        trials, tuple(failures), {'frames_lost': float(lost), 'rss_growth_mib': growth_mib}
    )


def _send(node: NodeProcess, count: int, seed: int) -> list[str]:
    """Send images one after the other; return the problem of each without depth."""
    return [
        f'image {number}: no depth'
        for number in range(count)
        if node.send(random_image(seed + number)) is None
    ]


def fail_to_load(trials: int, seed: int) -> Trials:
    """Let loading run out of memory; the node must stay configurable and not grow."""
    del seed  # nothing is random
    failures: list[str] = []
    with FaultyNode() as node:
        node.change_state(Transition.TRANSITION_DEACTIVATE)
        node.change_state(Transition.TRANSITION_CLEANUP)
        before = node.use().rss_mib
        with node.fault('load oom'):
            failures += [
                f'load {trial}: configuring did not fail'
                for trial in range(trials)
                if node.change_state(Transition.TRANSITION_CONFIGURE) is not False
            ]
        if node.wait_for_status('lifecycle', (ERROR,), 'out of memory') is None:
            failures.append(f'after failing loads: {node.report["lifecycle"]}')
        growth_mib = node.use().rss_mib - before
        failures += [
            f'transition {transition} fails after the fault'
            for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
            if not node.change_state(transition)
        ]
        node.wait_for_golden()
        failures += node.check_survival()
    if growth_mib > _RSS_LIMIT_MIB:
        failures.append(f'memory grew by {growth_mib:.0f} MiB')
    return Trials(trials, tuple(failures), {'rss_growth_mib': growth_mib})


def lose_gpu_or_hang(trials: int, seed: int) -> Trials:
    """Let the GPU be lost, a stage hang twice or hold the GIL; the process must be restartable."""
    failures: list[str] = []
    figures = {'exit_max_s': 0.0, 'abandon_max_s': 0.0, 'gil_max_s': 0.0, 'respawn_max_s': 0.0}
    limits_s = (_FATAL_LIMIT_S, _HANG_LIMIT_S, _HANG_LIMIT_S, _RESPAWN_LIMIT_S)
    faults = (_lose_gpu, _hang, _hold_gil)
    with FaultyNode() as node:
        for trial in range(trials):
            failures += faults[trial % len(faults)](node, figures)
            node.set_fault('')
            begin = time.monotonic()
            node.start()
            node.wait_for_golden()
            figures['respawn_max_s'] = max(figures['respawn_max_s'], time.monotonic() - begin)
        failures += node.check_survival()
    failures += [
        f'{name} is {seconds:.1f}, expected at most {limit:.0f}'
        for (name, seconds), limit in zip(figures.items(), limits_s, strict=True)
        if seconds > limit
    ]
    del seed  # nothing is random
    return Trials(trials, tuple(failures), figures)


def _lose_gpu(node: FaultyNode, figures: dict[str, float]) -> list[str]:
    node.set_fault('depth sticky')
    node.image.publish(random_image())
    return _await_exit(node, figures)


def _hold_gil(node: FaultyNode, figures: dict[str, float]) -> list[str]:
    node.set_fault('depth block seconds=60')
    node.image.publish(random_image())
    return _await_exit(node, figures, 'gil_max_s', _HANG_LIMIT_S, -signal.SIGKILL)


def _await_exit(
    node: FaultyNode,
    figures: dict[str, float],
    figure: str = 'exit_max_s',
    limit_s: float = _FATAL_LIMIT_S,
    expected: int = 1,
) -> list[str]:
    """Wait for the process to end with an exit code."""
    seconds = node.wait(lambda: not node.is_alive, 3 * limit_s)
    if seconds is None:
        node.process.kill()
        node.process.wait()
        return [f'the process did not end within {3 * limit_s:.0f} s']
    figures[figure] = max(figures[figure], seconds)
    code = node.process.returncode
    return [] if code == expected else [f'the process ended with {code}, expected {expected}']


def _hang(node: FaultyNode, figures: dict[str, float]) -> list[str]:
    """Let the depth stage hang: it is given up, frames go on; then once more: it ends."""
    failures: list[str] = []
    node.set_fault('depth sleep seconds=60')
    node.image.publish(random_image())
    seconds = node.wait_for_status('model', (ERROR,), 'depth has run for', 2 * _HANG_LIMIT_S)
    figures['abandon_max_s'] = max(figures['abandon_max_s'], seconds or float('inf'))
    node.set_fault('')
    failures += node.check_survival()
    node.set_fault('depth sleep seconds=60')
    node.image.publish(random_image())
    if node.wait_for_status('model', (ERROR,), 'depth has run for', 2 * _HANG_LIMIT_S) is None:
        failures.append('the second hang is not reported')
    return failures + _await_exit(node, figures)


def raise_exceptions(trials: int, seed: int) -> Trials:
    """Raise in each network; each frame must be counted as lost, and the next be golden."""
    failures: list[str] = []
    with FaultyNode() as node:
        lost = 0
        for point in _POINTS:
            for number in range(trials):
                fault = _EXCEPTIONS[number % len(_EXCEPTIONS)]
                node.set_fault(f'{point} {fault} times=1')
                node.image.publish(random_image(seed + number))
                lost += 1
                node.await_faults(_FRAME_LIMIT_S)
                problem = node.send_golden(_FRAME_LIMIT_S)
                if problem:
                    failures.append(f'{point} {fault} {number}: {problem}')
            node.set_fault('')
            counts = node.counts()
            if counts.dropped.get('internal_error') != lost or counts.unaccounted:
                failures.append(f'{point}: {counts}, expected {lost} internal errors')
            if node.wait_for_status('model', (OK,)) is None:
                failures.append(f'{point}: {node.report["model"]} afterwards')
        failures += node.check_survival()
    return Trials(lost, tuple(failures), {'lost': float(lost)})
