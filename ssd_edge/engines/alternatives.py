"""Which engines of the same model, in other precisions, lie beside the one that is built and can run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.core.errors import SsdEdgeError

if TYPE_CHECKING:
    from ssd_edge.workflows.build.config import BuildPlan

FLAGS = {"fp32": (), "fp16": ("--fp16",), "int8-fp16": ("--int8", "--fp16"), "int8": ("--int8",)}


@dataclass(frozen=True)
class Rivals:
    """The other precisions of a model for a target.

    Attributes:
        there: the file of each that can be timed here.
        missing: the float precisions that are not there.
    """

    there: Mapping[str, Path]
    missing: tuple[str, ...]


def find_rivals(plan: BuildPlan) -> Rivals:
    """Return what an engine is to be timed against."""
    from ssd_edge.engines.build import engine_path

    others = [name for name in FLAGS if name != plan.precision]
    valid = {name: path for name in others if _is_valid(path := engine_path(plan.source, name, plan.target), plan)}
    there = {name: path for name, path in valid.items() if _takes(path, plan.options.batch.least)}
    wanted = _float_precisions(plan)
    # An engine for other batches is left as it is: it was built for a purpose.
    missing = tuple(name for name in wanted if name in others and name not in valid)
    return Rivals(there, missing)


def _float_precisions(plan: BuildPlan) -> tuple[str, ...]:
    if plan.target == ORT:
        return ("fp32",)  # a processor computes FP16 in float32
    return ("fp32", "fp16") if plan.options.dla is None else ("fp16",)  # a DLA has no float32


def _is_valid(path: Path, plan: BuildPlan) -> bool:
    """Whether an engine of the same ONNX lies there and runs here."""
    from ssd_edge.backends.detector import usable_here
    from ssd_edge.core.manifest import EngineManifest, manifest_path

    if not usable_here(path):
        return False
    try:
        made = EngineManifest.load(manifest_path(path))
        made.refuse_if_changed(path)
    except SsdEdgeError:
        return False
    return made.onnx_digest == plan.source.digest


def _takes(engine: Path, batch: int) -> bool:
    from ssd_edge.core.manifest import EngineManifest, manifest_path

    least, _, most = EngineManifest.load(manifest_path(engine)).batch
    return least <= batch and (batch <= most or most == 0)
