"""How a step of creating the workspace runs, and how it is known that it need not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import hashlib
import os
from pathlib import Path
import subprocess
import time

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
STAMPS = VENV / '.workspace'
LOGS = ROOT / 'build' / 'workspace'

# Another ROS, or another environment, must not leak into what is made here.
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


class StepFailedError(Exception):
    """A step that cannot go on; its text says why and what to do."""


def step(name: str, action: Callable[[], str]) -> None:
    """Run one step and print its line: name, outcome, seconds."""
    print(f'workspace: {name:<20}', end=' ', flush=True)
    started = time.monotonic()
    outcome = action()
    print(f'{outcome:<12} {time.monotonic() - started:6.1f} s', flush=True)


def run(name: str, command: list[str], *, advice: str = 'Correct it and run again.') -> None:
    """Run a program into a log of its own.

    Raises:
        StepFailedError: It did not end with 0; says the end of the log and what to do.

    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f'{name}.log'
    with path.open('w', encoding='utf-8') as log:
        code = subprocess.run(  # noqa: S603 - every command is spelled out in this folder
            command, cwd=ROOT, env=clean_environment(), stdout=log, stderr=log, check=False
        ).returncode
    if code != 0:
        tail = path.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL_LINES:]
        raise StepFailedError(
            f'{name} failed with exit code {code}. The end of {path}:\n'
            + ''.join(f'    {line}\n' for line in tail)
            + advice
        )


def clean_environment() -> dict[str, str]:
    """Return the variables for programs: no other ROS, the prefix of this one."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    return {
        **kept,
        'PATH': f'{VENV / "bin"}{os.pathsep}{kept.get("PATH", os.defpath)}',
        'AMENT_PREFIX_PATH': str(VENV),
        'CMAKE_PREFIX_PATH': str(VENV),
    }


def key_of(inputs: Iterable[str]) -> str:
    """Return what stands for the inputs of a step in its stamp."""
    return hashlib.sha256('\0'.join(inputs).encode()).hexdigest()


def stamped(step_name: str) -> str | None:
    """Return the key with which a step last succeeded, None if it never did."""
    path = STAMPS / step_name
    return path.read_text(encoding='utf-8') if path.exists() else None


def unstamp(step_name: str) -> None:
    """Forget a success: the step begins anew, and may leave things half done."""
    (STAMPS / step_name).unlink(missing_ok=True)


def stamp(step_name: str, key: str) -> None:
    """Write down that a step succeeded with these inputs."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / step_name).write_text(key, encoding='utf-8')
