"""Check of the libraries that networks need."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util

from robot_perception.core import ModelError

# As in setup.py: version 4.57 runs SAM 2 and gives other numbers.
_TRANSFORMERS_MAJOR = 5
_NEEDED = ('torch', 'transformers', 'safetensors', 'huggingface_hub')


def check_installation() -> None:
    """Raise unless the libraries that networks need are installed and work.

    torchvision is not needed. But transformers imports it if it is installed, and a build that
    does not fit torch breaks every network with a message that does not mention it.

    Raises:
        ModelError: a library is missing, transformers has another version than 5, or an installed
            torchvision cannot be imported.
    """
    for library in _NEEDED:
        if importlib.util.find_spec(library) is None:
            raise ModelError(
                'missing_library',
                f'{library}: expected to be installed, and is not. Networks need '
                f'{", ".join(_NEEDED)}: pip install {library}; or use model "stub", which needs '
                'none of them.',
            )
    _check_transformers()
    _check_torchvision()


def _check_transformers() -> None:
    version = importlib.metadata.version('transformers')
    if int(version.partition('.')[0]) != _TRANSFORMERS_MAJOR:
        raise ModelError(
            'unsupported_version',
            f'transformers: expected version {_TRANSFORMERS_MAJOR}, got {version}, whose networks '
            'may give other results: '
            f'pip install "transformers>={_TRANSFORMERS_MAJOR},<{_TRANSFORMERS_MAJOR + 1}".',
        )


def _check_torchvision() -> None:
    if importlib.util.find_spec('torchvision') is None:
        return
    try:
        importlib.import_module('torchvision')
    except Exception as error:  # a broken build raises any exception
        raise ModelError(
            'broken_library',
            'torchvision: expected a build that fits the installed torch, or none; got one that '
            f'cannot be imported ({type(error).__name__}: {error}), and transformers fails with '
            'it. It is not needed here: pip uninstall torchvision; or install the build that '
            'fits torch.',
        ) from error


def describe_cuda() -> tuple[bool, bool]:
    """Return whether torch is built with CUDA, and whether it can use a GPU."""
    import torch  # noqa: PLC0415 - slow

    return torch.version.cuda is not None, torch.cuda.is_available()
