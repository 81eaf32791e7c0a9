"""The TensorRT that is installed, named as users know it; what it can do is asked of what it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ssd_edge.backends.trt_module import TENSORRT_RTX
from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.engines.trt_advice import advice_for, layer_in


@dataclass(frozen=True)
class Release:
    """A module and the target that it is.

    Attributes:
        trt: ``tensorrt`` or ``tensorrt_rtx``, whatever its release.
        target: ``tensorrt`` or ``tensorrt-rtx``.
    """

    trt: Any
    target: str

    @property
    def version(self) -> str:
        """E.g. ``10.3.0``."""
        return str(self.trt.__version__)

    @property
    def is_rtx(self) -> bool:
        """Whether it builds for GPUs that need not be here, and times kernels where they run."""
        return self.target == TENSORRT_RTX

    @property
    def has_strong_types(self) -> bool:
        """Whether the ONNX can say in which type everything runs: from 9.0 on; from 11 on it is the only way."""
        return hasattr(self.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")

    def __str__(self) -> str:
        return f"{self.target} {self.version}"

    def require(self, has: bool, option: str) -> None:
        """Raise InputError where this release cannot do what an option asks for."""
        if not has:
            raise InputError(f"{self} has no {option}", do=f"Build without {option}.")

    def failure(self, what: str, messages: Sequence[str], *, may_keep_float: bool) -> ArtefactError:
        """Return the error for what TensorRT refuses, with what it said, the layer that it named, and what helps."""
        layer = layer_in(messages)
        return ArtefactError(
            f"{self} {what}, at layer {layer}" if layer else f"{self} {what}",
            got="; ".join(messages[:3]) or "no message",
            do=advice_for(messages, may_keep_float=may_keep_float),
        )
