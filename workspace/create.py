#!/usr/bin/env python3
"""Create a ROS 2 workspace in `.venv`, for machines without a ROS install.

The virtual environment is itself the prefix of the workspace: ROS comes from wheels, vision_msgs
and robot_perception are built into it with colcon. Afterwards `.venv/bin/robot-perception` and
`.venv/bin/pytest` work as they are; nothing has to be sourced. A step whose inputs did not change
since its last success is skipped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
import ctypes
from dataclasses import dataclass
import hashlib
import importlib.util
import json
import os
from pathlib import Path
import platform
import shutil
import subprocess
import sys
import sysconfig
import time

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
STAMPS = VENV / '.workspace'
LOGS = ROOT / 'build' / 'workspace'
REQUIREMENTS = ROOT / 'workspace' / 'requirements'
PACKAGES = {'vision_msgs': ROOT / 'workspace' / 'vision_msgs', 'robot_perception': ROOT}

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

# Runs at the start of every interpreter of the environment: the ROS wheels set the library path
# themselves, but not the prefix in which packages, their shares and their types are found.
PREFIX_HOOK = (
    "import os, sys; os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join(dict.fromkeys("
    "[sys.prefix, *filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep))]))\n"
)

TAIL_LINES = 20


class StepFailedError(Exception):
    """A step that cannot go on, with all that its reader needs."""


@dataclass(frozen=True)
class Interpreter:
    """What the environment's Python says of itself.

    Attributes:
        version: Major and minor, such as '3.11'.
        include: Folder of its C headers.
        site_packages: Folder of its packages.
    """

    version: str
    include: Path
    site_packages: Path


def main() -> int:
    """Create or refresh the workspace.

    Returns:
        0 when it is ready, 1 when a step failed.
    """
    argparse.ArgumentParser(description=__doc__.partition('\n')[0]).parse_args()
    try:
        _step('machine', _check_machine)
        _step('system packages', _install_system_packages)
        _step('virtual environment', _create_environment)
        _step('requirements', _install_requirements)
        _step('paths in the wheels', _repair_wheels)
        _step('build with colcon', _build)
    except StepFailedError as error:
        print(f'\nworkspace: {error}', file=sys.stderr)
        return 1
    return 0


def _step(name: str, action: Callable[[], str]) -> None:
    """Run one step and print its line: name, outcome, seconds."""
    print(f'workspace: {name:<20}', end=' ', flush=True)
    started = time.monotonic()
    outcome = action()
    print(f'{outcome:<12} {time.monotonic() - started:6.1f} s', flush=True)


def _check_machine() -> str:
    """Refuse a machine for which no ROS wheels exist."""
    machine = f'{platform.system()} {platform.machine()}'
    if machine not in {'Linux x86_64', 'Linux AMD64'}:
        raise StepFailedError(
            f'The ROS wheels on PyPI exist for x86-64 Linux only; this is {machine}. '
            '`pip install .` gives the library and the commands without ROS, and '
            '`colcon build` the nodes where ROS 2 is installed.'
        )
    if sys.version_info < (3, 10):  # noqa: UP036 - this file is what tells an old Python so
        raise StepFailedError(
            f'Python 3.10 or newer is needed, this is {platform.python_version()}. '
            'Name a newer one: make PYTHON=python3.11 ...'
        )
    return 'supported'


def _install_system_packages() -> str:
    """Install what wheels cannot carry, where that is allowed."""
    packages = _missing_system_packages()
    if not packages:
        return 'present'
    install = ['apt-get', 'install', '-y', '--no-install-recommends', *packages]
    advice = f'Missing system packages. Install them and run again: sudo {" ".join(install[:3])} '
    advice += ' '.join(packages)
    prefix = _administrator_prefix()
    if prefix is None:
        raise StepFailedError(advice)
    try:
        _run('system-packages', [*prefix, *install])
    except StepFailedError:
        # On a fresh machine the lists of packages are empty.
        _run('system-packages', [*prefix, 'apt-get', 'update'], advice=advice)
        _run('system-packages', [*prefix, *install], advice=advice)
    missing = _missing_system_packages()
    if missing:
        raise StepFailedError(f'apt-get installed {" ".join(missing)}, yet they are not found.')
    return 'installed'


def _missing_system_packages() -> list[str]:
    """Name the Debian packages whose work cannot be found on this machine."""
    version = f'{sys.version_info.major}.{sys.version_info.minor}'
    present = {
        'g++': shutil.which('c++') is not None,
        f'python{version}-dev': Path(sysconfig.get_path('include'), 'Python.h').exists(),
        f'python{version}-venv': importlib.util.find_spec('ensurepip') is not None,
        'libusb-1.0-0': _loads('libusb-1.0.so.0'),  # Open3D
    }
    return [package for package, found in present.items() if not found]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _administrator_prefix() -> list[str] | None:
    """Find how apt-get may be run without asking for a password; None where it may not."""
    if shutil.which('apt-get') is None:
        return None
    if os.geteuid() == 0:
        return ['env', 'DEBIAN_FRONTEND=noninteractive']
    if shutil.which('sudo') is None:
        return None
    allowed = _call(['sudo', '-n', 'true'], stdout=subprocess.DEVNULL) == 0
    return ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive'] if allowed else None


def _create_environment() -> str:
    """Create `.venv`, or take the one that is there if it works in this place."""
    key = _hash([str(ROOT)])
    stamp = STAMPS / 'environment'
    moved = stamp.exists() and stamp.read_text(encoding='utf-8') != key
    if _probe() is not None and not moved:
        outcome = 'reused'
    else:
        # Scripts and build folders carry absolute paths, so nothing of an old place is kept.
        for folder in (VENV, *(LOGS / name for name in PACKAGES)):
            shutil.rmtree(folder, ignore_errors=True)
        _run('virtual-environment', [sys.executable, '-m', 'venv', str(VENV)])
        outcome = 'created'
    _write(stamp, key)
    return outcome


def _probe() -> Interpreter | None:
    """Ask the environment's Python what it is; None when there is none that runs."""
    python = VENV / 'bin' / 'python'
    if not python.exists():
        return None
    code = (
        'import json, sys, sysconfig; print(json.dumps(["%d.%d" % sys.version_info[:2],'
        ' sysconfig.get_path("include"), sysconfig.get_path("purelib")]))'
    )
    environment = {**_environment(), '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1'}
    answer = subprocess.run(  # noqa: S603 - the program is the one made here
        [str(python), '-c', code], env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        return None
    version, include, site_packages = json.loads(answer.stdout)
    return Interpreter(version, Path(include), Path(site_packages))


def _interpreter() -> Interpreter:
    interpreter = _probe()
    if interpreter is None:
        raise StepFailedError(f'{VENV}/bin/python does not run. Delete {VENV} and run again.')
    return interpreter


def _install_requirements() -> str:
    """Install the pinned requirements with pip."""
    lists = [REQUIREMENTS / f'{name}.txt' for name in ('ros', 'runtime', 'dev')]
    constraints = REQUIREMENTS / 'constraints.txt'
    texts = [path.read_text(encoding='utf-8') for path in (*lists, constraints)]
    key = _hash([_interpreter().version, *texts])
    if _is_current('requirements', key, VENV / 'bin' / 'colcon'):
        return 'up to date'
    python = str(VENV / 'bin' / 'python')
    pip = [python, '-m', 'pip', 'install', '--no-input', '--progress-bar', 'off']
    pip += ['--constraint', str(constraints)]
    advice = 'Check the network, the disk space and the log, then run the same command again.'
    _run('pip', [*pip, '--upgrade', 'pip'], advice=advice)
    requirements = [word for path in lists for word in ('--requirement', str(path))]
    print('(minutes, the first time)', end=' ', flush=True)
    _run('requirements', [*pip, *requirements], advice=advice)
    _write(STAMPS / 'requirements', key)
    return 'installed'


def _repair_wheels() -> str:
    """Make the wheels' CMake files and packages findable where they are now.

    The exported targets of the message packages name folders of the machine that built them, and
    CMake refuses a folder that does not exist.
    """
    interpreter = _interpreter()
    repaired = 0
    for path in VENV.glob('share/*/cmake/export_*__rosidl_generator_pyExport.cmake'):
        text = path.read_text(encoding='utf-8')
        lines = [
            _repair_line(line, interpreter.include) for line in text.splitlines(keepends=True)
        ]
        if ''.join(lines) != text:
            path.write_text(''.join(lines), encoding='utf-8')
            repaired += 1
    hook = interpreter.site_packages / 'robot_perception_workspace.pth'
    if not hook.exists() or hook.read_text(encoding='utf-8') != PREFIX_HOOK:
        hook.write_text(PREFIX_HOOK, encoding='utf-8')
    return f'{repaired} repaired' if repaired else 'in order'


def _repair_line(line: str, include: Path) -> str:
    """Put this machine's Python headers where a line names those of the build machine."""
    name, quote, rest = line.partition('"')
    if name.strip() != 'INTERFACE_INCLUDE_DIRECTORIES' or '/opt/python/' not in rest:
        return line
    folders, _, end = rest.partition('"')
    kept = [folder for folder in folders.split(';') if not folder.startswith('/opt/python/')]
    return f'{name}{quote}{";".join([include.as_posix(), *kept])}"{end}'


def _build() -> str:
    """Build vision_msgs and this package into the environment, Python by links."""
    key = _hash([_interpreter().version, *_build_inputs()])
    # The program is a link into the build folder: it is gone when that is.
    if _is_current('build', key, VENV / 'bin' / 'robot-perception'):
        return 'up to date'
    command = [str(VENV / 'bin' / 'colcon'), '--log-base', str(LOGS / 'log'), 'build']
    command += ['--base-paths', *map(str, PACKAGES.values()), '--packages-select', *PACKAGES]
    command += ['--build-base', str(LOGS), '--install-base', str(VENV), '--merge-install']
    command += ['--symlink-install', '--event-handlers', 'console_direct+']
    command += ['--cmake-args', '-G', 'Ninja', '-DBUILD_TESTING=OFF']
    command += [f'-DPython3_EXECUTABLE={VENV / "bin" / "python"}']
    _run('build', command, advice='The log says which file does not build; correct it, run again.')
    _write(STAMPS / 'build', key)
    return 'built'


def _build_inputs() -> Iterator[str]:
    """Yield the text of what is compiled and the names of what is linked."""
    compiled = ['CMakeLists.txt', 'package.xml', 'msg/*', 'resource/*', 'workspace/requirements/*']
    compiled += ['workspace/vision_msgs/*', 'workspace/vision_msgs/msg/*']
    for pattern in compiled:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                yield path.name
                yield path.read_text(encoding='utf-8')
    for pattern in ('robot_perception/*', 'config/**/*', 'launch/*', 'rviz/*'):
        yield from (path.as_posix() for path in sorted(ROOT.glob(pattern)) if path.name[0] != '_')


def _run(name: str, command: list[str], *, advice: str = 'Correct it and run again.') -> None:
    """Run a program into its own log.

    Raises:
        StepFailedError: It did not end with 0; says the last lines of the log and what to do.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f'{name}.log'
    with path.open('w', encoding='utf-8') as log:
        code = _call(command, stdout=log.fileno())
    if code != 0:
        tail = path.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL_LINES:]
        raise StepFailedError(
            f'{name} failed with exit code {code}. The end of {path}:\n'
            + ''.join(f'    {line}\n' for line in tail)
            + advice
        )


def _call(command: list[str], *, stdout: int) -> int:
    """Run a program in the clean environment and return its exit code."""
    return subprocess.run(  # noqa: S603 - every command is spelled out in this file
        command, cwd=ROOT, env=_environment(), stdout=stdout, stderr=subprocess.STDOUT, check=False
    ).returncode


def _environment() -> dict[str, str]:
    """Return the environment for programs: no foreign ROS, the prefix of this one."""
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN_VARIABLES}
    return {
        **environment,
        'PATH': f'{VENV / "bin"}{os.pathsep}{environment.get("PATH", os.defpath)}',
        'AMENT_PREFIX_PATH': str(VENV),
        'CMAKE_PREFIX_PATH': str(VENV),
    }


def _is_current(step: str, key: str, product: Path) -> bool:
    """Tell whether a step succeeded with these inputs and its product is still there."""
    stamp = STAMPS / step
    return product.exists() and stamp.exists() and stamp.read_text(encoding='utf-8') == key


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def _hash(texts: list[str]) -> str:
    return hashlib.sha256('\0'.join(texts).encode()).hexdigest()


if __name__ == '__main__':
    sys.exit(main())
