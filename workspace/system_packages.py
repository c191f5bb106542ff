"""System packages that wheels cannot contain, by their names in Debian and Ubuntu."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig

from steps import run, StepFailedError

# Runs a program as root without asking for a password.
SUDO = ['sudo', '-n']


def install_system_packages() -> str:
    """Install missing system packages where that is allowed.

    Raises:
        StepFailedError: A package is missing and cannot be installed; the message names it.
    """
    packages = missing()
    if not packages:
        return 'present'
    advice = f'System packages are missing: sudo apt-get install -y {" ".join(packages)}'
    prefix = _administrator()
    if prefix is None:
        raise StepFailedError(f'{advice}\nInstall them and run again.')
    apt_get = [*prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get']
    install = [*apt_get, 'install', '-y', '--no-install-recommends', *packages]
    try:
        run('system-packages', install)
    except StepFailedError:
        # On a fresh machine the package lists are empty or old.
        run('system-packages', [*apt_get, 'update'], advice=advice)
        run('system-packages', install, advice=advice)
    if missing():
        raise StepFailedError(f'Not found after installing them: {" ".join(missing())}')
    return 'installed'


def missing() -> list[str]:
    """Return the names of the packages that this machine lacks."""
    python = f'python{sys.version_info.major}.{sys.version_info.minor}'
    present = {
        'g++': shutil.which('c++') is not None,
        f'{python}-dev': Path(sysconfig.get_path('include'), 'Python.h').exists(),
        f'{python}-venv': importlib.util.find_spec('ensurepip') is not None,
        'libusb-1.0-0': _loads('libusb-1.0.so.0'),  # Open3D
    }
    return [package for package, found in present.items() if not found]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _administrator() -> list[str] | None:
    """Return the command prefix that runs apt-get as root, None where that is not allowed."""
    if shutil.which('apt-get') is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which('sudo') is None:
        return None
    command = [*SUDO, 'true']
    allowed = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - fixed
    return SUDO if allowed.returncode == 0 else None
