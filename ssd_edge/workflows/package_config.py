"""Options of a package besides the model and the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import Precision
from ssd_edge.core.config import AnyPath, check_limits


@dataclass(frozen=True)
class PackageConfig:
    """Options for what to write and to add.

    Attributes:
        output: folder of the package, whose name the archive has too; by default ``packages/<model>-<host>`` in the
            workspace.
        image: to check the package on, an image in which the model finds something; by default one of the calibration
            set, or a drawn scene.
        max_batch: images that a server puts together: Triton and DeepStream.
        precision: that the host builds the engine in: DeepStream, and other than FP32 from 9.0 on. INT8 needs the
            model's calibration table.
        calibration_cache: version of TensorRT, e.g. ``10.3.0``, whose text calibration cache INT8 goes in by, for
            releases of DeepStream before 9.0; by default Q/DQ nodes in the graph.
        score_threshold: a detection scores more, 0 to 1: DeepStream.
        engine: TensorRT engine of the model to add: Triton.
        wheel: of ssd-edge, for a board that has no ssd-edge: board.
    """

    output: Path | None = None
    image: Path | None = None
    max_batch: int = 8
    precision: Precision = Precision.FP32
    calibration_cache: str | None = None
    score_threshold: float = 0.5
    engine: Path | None = None
    wheel: Path | None = None

    def __post_init__(self) -> None:
        check_limits(self, {"max_batch": (1, 1024), "score_threshold": (0.0, 1.0)})


class PackageOptions(TypedDict, total=False):
    """The fields of :class:`PackageConfig` as keywords."""

    output: AnyPath | None
    image: AnyPath | None
    max_batch: int
    precision: Precision | Literal["fp32", "fp16", "int8", "int8-fp16"]
    calibration_cache: str | None
    score_threshold: float
    engine: AnyPath | None
    wheel: AnyPath | None
