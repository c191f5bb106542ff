"""Names of a package that are imported on first use, so that what few need costs nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_attributes(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Return a module ``__getattr__`` (PEP 562) that imports names from submodules on first use.

    Args:
        package: ``__name__`` of the package that offers the names.
        modules: name -> the submodule of ``package`` that defines it.

    """

    def get(name: str) -> object:
        if name not in modules:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        return getattr(import_module(f'{package}.{modules[name]}'), name)

    return get
