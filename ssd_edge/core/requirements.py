"""Packages that only some commands need: missed by name, before any work is done."""

from __future__ import annotations

import random
from importlib import import_module
from typing import Literal

from ssd_edge.core.environment import no_telemetry, unchanged_environment
from ssd_edge.core.errors import MissingPackageError

Extra = Literal["train", "export", "torch", "timm", "label", "ray"]
_PACKAGES: dict[Extra, tuple[str, ...]] = {
    "train": ("torch", "torchvision", "lightning_fabric"),
    "export": ("torch", "torchvision", "onnxsim"),
    "torch": ("torch", "torchvision"),
    "timm": ("timm",),
    "label": ("pyarrow.parquet",),
    "ray": ("ray.data",),
}

INSTALL_TORCH = "Install it: pip install 'ssd-edge[train,export]'"


def require(extra: Extra, what: str, do: str) -> None:
    """Import the packages of an optional dependency, or say which is missing.

    Args:
        extra: its name; ``torch`` is the part that ``train`` and ``export`` have in common.
        what: the sentence that names what needs it.
        do: the command that installs it.

    Raises:
        MissingPackageError: one of them cannot be imported.
    """
    state = random.getstate()  # of the program: some packages draw from it when they are imported
    try:
        with unchanged_environment(), no_telemetry():  # onnxsim brings an ONNX Runtime; torchvision sets variables
            for name in _PACKAGES[extra]:
                import_module(name)
    except ImportError as error:
        raise MissingPackageError(what, got=str(error), do=do) from error
    finally:
        random.setstate(state)


def require_torch(what: str = "training needs PyTorch (torch, torchvision)", instead: str = "") -> None:
    """Import PyTorch, which networks and anchors need.

    Args:
        what: the sentence that names what needs it.
        instead: what can be done without it, e.g. ``evaluate the exported .onnx``.

    Raises:
        MissingPackageError: it is not installed, or torchvision is not.
    """
    require("torch", what, f"{INSTALL_TORCH}, or {instead}." if instead else INSTALL_TORCH)


def require_training() -> None:
    """Import all that training needs.

    Raises:
        MissingPackageError: PyTorch, torchvision or Lightning Fabric is not installed.
    """
    packages = ", ".join(_PACKAGES["train"])
    require("train", f"training needs PyTorch ({packages})", INSTALL_TORCH)


def require_labelling(*, ray: bool) -> None:
    """Import what labelling writes with, and what it runs on a cluster with.

    Raises:
        MissingPackageError: PyArrow, or Ray where it is asked for, is not installed.
    """
    require("label", "labelling needs PyArrow", "Install it: pip install 'ssd-edge[label]'")
    if ray:
        require("ray", "labelling on a cluster needs Ray", "Install it: pip install 'ssd-edge[ray]'")
