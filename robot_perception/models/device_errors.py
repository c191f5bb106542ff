"""Errors of a GPU: out of memory, and those after which its context is unusable."""

from __future__ import annotations

import gc
import re
import sys

from robot_perception.core import ModelError

_OUT_OF_MEMORY = re.compile(r'out of memory|STATUS_ALLOC_FAILED', re.IGNORECASE)
# After these CUDA refuses every further call of the process.
_FATAL = re.compile(
    r'CUDA error|device-side assert|CU(?:BLAS|DNN)_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR)'
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a network failed because the memory of its GPU was used up."""
    if isinstance(error, ModelError):
        return error.reason == 'out_of_memory'
    # torch is not imported for the type of its error.
    is_named = type(error).__name__ == 'OutOfMemoryError' or _OUT_OF_MEMORY.search(str(error))
    return isinstance(error, RuntimeError) and bool(is_named)


def is_fatal(error: BaseException) -> bool:
    """Return whether no network of this process can run on its GPU any more."""
    return (
        isinstance(error, RuntimeError)
        and not is_out_of_memory(error)
        and bool(_FATAL.search(str(error)))
    )


def free_device_memory() -> None:
    """Return memory that torch keeps for later to the GPUs."""
    gc.collect()
    torch = sys.modules.get('torch')
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
