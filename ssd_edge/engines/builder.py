"""Interface of builders, which turn a lowered graph into an engine; and the lowered graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import onnx

from ssd_edge.backends.tensorrt.module import Listener
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.manifest import Accuracy, EngineOptions
from ssd_edge.core.progress import Progress, silent


class NoKernelError(ArtifactError):
    """The runtime has no kernel for a layer.

    Attributes:
        layer: as the runtime names it: often several nodes of the graph that it has fused.
    """

    def __init__(self, what: str, *, layer: str, got: str = "", do: str = "") -> None:
        super().__init__(what, got=got, do=do)
        self.layer = layer


class Builder(Protocol):
    """Turns a lowered graph into a file that one runtime loads."""

    @property
    def target(self) -> Target:
        """The runtime that engines are for."""

    @property
    def runtime(self) -> str:
        """The package that builds them."""

    @property
    def runtime_version(self) -> str:
        """Its version."""

    @property
    def device(self) -> str:
        """Target of the engines."""

    @property
    def batch(self) -> tuple[int, int, int]:
        """(min, opt, max) images at a time; a max of 0 is no limit."""

    @property
    def builder_version(self) -> int:
        """Goes up with every change by which the same graph and options give another engine."""

    @property
    def is_weakly_typed(self) -> bool:
        """Whether flags of the runtime choose the precision, and not the graph."""

    @property
    def may_keep_float(self) -> bool:
        """Whether single layers can be left in float."""

    @property
    def messages(self) -> Listener | None:
        """Messages of the runtime so far; None if it has none."""

    @property
    def options(self) -> EngineOptions:
        """Options that distinguish engines of one graph."""

    def check(self) -> None:
        """Raise SsdEdgeError where it cannot do what it was asked for, as far as that is known before the work."""

    def build(
        self, model: onnx.ModelProto, engine: Path, progress: Progress = silent, *, calibration_cache: bytes = b""
    ) -> None:
        """Write the engine; ``calibration_cache`` carries the ranges of INT8 where the graph has none."""


class ProcessorBuilder:
    """The common part of the builders for a processor: any batch size, types in the graph, and no messages."""

    batch = (1, 1, 0)
    is_weakly_typed = False
    may_keep_float = True
    messages: Listener | None = None


@dataclass(frozen=True)
class Lowered:
    """A model in the precision that it must run in.

    Attributes:
        model: complete, with its BatchedNMS node.
        table_digest: of the calibration table; empty where none was used.
        scheme: how ONNX Runtime stores INT8; empty without.
        improved: steps of refinement that were kept.
        keep_float: names of the layers that stayed in float.
        calibration_cache: the ranges, where they do not go into the graph.
        calibrated_on: ``sha256:…`` of the images that ranges and corrections are of.
        accuracy: of ``model``; None where it was not measured.
        without_fallback: the same with no layer in float for the accuracy's sake; None where none is.
    """

    model: onnx.ModelProto
    precision: Precision = Precision.FP32
    table_digest: str = ""
    scheme: str = ""
    improved: tuple[str, ...] = ()
    keep_float: tuple[str, ...] = ()
    calibration_cache: bytes = b""
    calibrated_on: tuple[str, ...] = ()
    accuracy: Accuracy | None = None
    without_fallback: onnx.ModelProto | None = None
