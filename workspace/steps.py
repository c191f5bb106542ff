"""Steps of creating the workspace: how they run, report progress, and are skipped when current."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import hashlib
import os
from pathlib import Path
import re
import subprocess
import sys
import time

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
STAMPS = VENV / '.workspace'
LOGS = ROOT / 'build' / 'workspace'

# Another ROS installation or environment must not leak into this one.
FOREIGN_VARIABLES = (
    'AMENT_PREFIX_PATH',
    'CMAKE_PREFIX_PATH',
    'COLCON_PREFIX_PATH',
    'LD_LIBRARY_PATH',
    'PIP_USER',
    'PYTHONHOME',
    'PYTHONPATH',
    'ROS_DISTRO',
    'VIRTUAL_ENV',
    '_ROS_WHEELS_BOOTSTRAP_COMPLETE',
)

TAIL_LINES = 20

# What pip, colcon and ninja print about the package or file that they work on.
ACTIVITY = re.compile(
    r'^(Collecting|Downloading|Using cached|Building wheel for|Installing collected packages'
    r'|Starting >>>|Finished <<<|\[\d+/\d+\]) ?(.*)$',
    re.MULTILINE,
)
ACTIVITY_WIDTH = 60
# Seconds between two reports: on a terminal, which is rewritten in place, and in a file.
TERMINAL_PERIOD_S = 1.0
FILE_PERIOD_S = 15.0


class StepFailedError(Exception):
    """A step failed; the message states why, and what to do."""


def step(name: str, action: Callable[[], str]) -> None:
    """Run one step and print its line: name, outcome, seconds."""
    title = f'workspace: {name:<20}'
    if sys.stdout.isatty():
        print(title, end='', flush=True)
    started = time.monotonic()
    outcome = action()
    _print_line(f'{title} {outcome:<12} {time.monotonic() - started:6.1f} s')


def run(
    name: str,
    command: list[str],
    *,
    advice: str = 'Correct it and run again.',
    progress: bool = False,
) -> None:
    """Run a program, with its output in a log file of its own.

    Args:
        name: Of the log file.
        command: Program and arguments.
        advice: What to do when the program fails.
        progress: Print the path of the log file at the beginning, and then again and again how
            much time has passed and which package or file is being worked on.

    Raises:
        StepFailedError: The exit code is not 0; has the path and the end of the log, and advice.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f'{name}.log'
    with path.open('w', encoding='utf-8') as log:
        process = subprocess.Popen(  # noqa: S603 - every command is spelled out in this folder
            command, cwd=ROOT, env=clean_environment(), stdout=log, stderr=log
        )
    try:
        if progress:
            _report_progress(process, path)
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code != 0:
        tail = path.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL_LINES:]
        raise StepFailedError(
            f'{name} failed with exit code {code}. The end of {path}:\n'
            + ''.join(f'    {line}\n' for line in tail)
            + advice
        )


def _report_progress(process: subprocess.Popen[bytes], path: Path) -> None:
    """Print elapsed time and activity until the program ends."""
    _print_line(f'    log: {path}')
    in_place = sys.stdout.isatty()
    started = time.monotonic()
    activity = ''
    with path.open(encoding='utf-8', errors='replace') as log:
        while _is_running(process, TERMINAL_PERIOD_S if in_place else FILE_PERIOD_S):
            activity = latest_activity(log.read()) or activity
            minutes, seconds = divmod(round(time.monotonic() - started), 60)
            line = f'    {minutes}:{seconds:02}  {activity}'
            print(f'\r\x1b[K{line}' if in_place else f'{line}\n', end='', flush=True)


def _is_running(process: subprocess.Popen[bytes], wait_s: float) -> bool:
    """Wait for the program, and return whether it still runs after that time."""
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        return True
    return False


def latest_activity(output: str) -> str:
    """Return the newest activity in the output of pip, colcon or ninja, '' without one.

    >>> latest_activity('Collecting torch==2.13.0 (from -r runtime.txt)')
    'Collecting torch==2.13.0'
    """
    matches = ACTIVITY.findall(output)
    if not matches:
        return ''
    verb, text = matches[-1]
    if verb == 'Installing collected packages':
        return f'Installing {text.count(",") + 1} packages'
    return f'{verb} {text.partition(" (from")[0]}'[:ACTIVITY_WIDTH]


def _print_line(line: str) -> None:
    """Print a line, over what stands in the line of a terminal."""
    print(f'\r\x1b[K{line}' if sys.stdout.isatty() else line, flush=True)


def clean_environment() -> dict[str, str]:
    """Return the environment variables for programs: no other ROS, the prefix of this one."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    return {
        **kept,
        'PATH': f'{VENV / "bin"}{os.pathsep}{kept.get("PATH", os.defpath)}',
        'AMENT_PREFIX_PATH': str(VENV),
        'CMAKE_PREFIX_PATH': str(VENV),
    }


def hash_inputs(inputs: Iterable[str]) -> str:
    """Return the hash of a step's inputs, which its stamp holds."""
    return hashlib.sha256('\0'.join(inputs).encode()).hexdigest()


def read_stamp(step_name: str) -> str | None:
    """Return the hash of the inputs with which a step last succeeded, None if it never did."""
    path = STAMPS / step_name
    return path.read_text(encoding='utf-8') if path.exists() else None


def delete_stamp(step_name: str) -> None:
    """Delete the stamp of a step before it runs again, because it may fail half done."""
    (STAMPS / step_name).unlink(missing_ok=True)


def write_stamp(step_name: str, key: str) -> None:
    """Record that a step succeeded with these inputs."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / step_name).write_text(key, encoding='utf-8')
