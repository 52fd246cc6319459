"""Names of a package that load on first use, so that importing it loads nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a package's `__init__` needs to offer names that its modules define.

    Args:
        package: The package's `__name__`.
        names: The names that each module of the package offers.
        modules: Modules that are themselves among the names.

    Returns:
        `__getattr__`, `__dir__` and `__all__` of the package.

    Example:
        >>> get, names, everything = lazy_names("kerastl", {"errors": ["InputError"]}, ["losses"])
        >>> everything, get("InputError").__name__
        (['InputError', 'losses'], 'InputError')
        >>> get("Nothing")
        Traceback (most recent call last):
        AttributeError: module 'kerastl' has no attribute 'Nothing'
    """
    home = {name: module for module, found in names.items() for name in found}
    everything = sorted([*home, *modules])

    def get(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return get, lambda: everything, everything
