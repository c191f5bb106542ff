"""Check of the libraries that networks need."""

from __future__ import annotations

import importlib
import importlib.util

from robot_perception.core import ModelError

_NEEDED = ('torch', 'transformers', 'safetensors', 'huggingface_hub')


def check_installation() -> None:
    """Raise unless the libraries that networks need are installed and work.

    torchvision is not needed. But transformers imports it if it is installed, and a build that
    does not fit torch breaks every network with a message that does not mention it.

    Raises:
        ModelError: a library is missing, or an installed torchvision cannot be imported.

    """
    for library in _NEEDED:
        if importlib.util.find_spec(library) is None:
            raise ModelError(
                'missing_library',
                f'{library}: expected to be installed, and is not. Networks need '
                f'{", ".join(_NEEDED)}: pip install {library}; or use model "stub", which needs '
                'none of them.',
            )
    _check_torchvision()


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
