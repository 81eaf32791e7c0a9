"""Packages that only some commands need: missed by name, before any work is done."""

from __future__ import annotations

from importlib import import_module

from ssd_edge.core.errors import MissingPackageError


def require_torch() -> None:
    """See that PyTorch is there, which networks and default boxes need.

    Raises:
        MissingPackageError: it is not, or torchvision is not.
    """
    _require("torch", "torchvision")


def require_training() -> None:
    """See that all is there that training needs.

    Raises:
        MissingPackageError: PyTorch, torchvision or Lightning Fabric is not.
    """
    _require("torch", "torchvision", "lightning_fabric")


def _require(*packages: str) -> None:
    try:
        for name in packages:
            import_module(name)
    except ImportError as error:
        raise MissingPackageError(
            f"training needs PyTorch ({', '.join(packages)})",
            got=str(error),
            do="Install it: pip install 'ssd-edge[train,export]'",
        ) from error
