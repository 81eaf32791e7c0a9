"""A build that nothing is missing for: its plan, its inputs and its builder; and what identifies its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.cli.build_inputs import BuildInputs, read_inputs
from ssd_edge.cli.console import say

if TYPE_CHECKING:
    from ssd_edge.cli.build_plan import BuildPlan
    from ssd_edge.core.ranges import CalibrationTable
    from ssd_edge.engines.build import Builder


@dataclass(frozen=True)
class BuildJob:
    """A build that nothing is missing for.

    Attributes:
        plan: what is asked for.
        inputs: what it reads.
        builder: for the runtime that shall run it.
    """

    plan: BuildPlan
    inputs: BuildInputs
    builder: Builder


def prepare(plan: BuildPlan) -> BuildJob:
    """Return the builder and all that the plan names; ranges are measured where there are none and pictures are known.

    Raises:
        SsdEdgeError: an input is missing, damaged, foreign or stale, or the runtime cannot do what is asked for.
    """
    builder = _make_builder(plan, lambda: inputs.table)  # asked for once it is there
    inputs = read_inputs(plan, builder)
    return BuildJob(plan, inputs, builder)


def identity(job: BuildJob) -> dict[str, str]:
    """Return what identifies the engine before it is lowered; see :func:`ssd_edge.engines.reuse.asked_of`."""
    from ssd_edge.core.files import text_digest
    from ssd_edge.engines.reuse import asked_of

    plan, inputs = job.plan, job.inputs
    table, pictures, judge = inputs.table, inputs.pictures, inputs.judge
    guarded = judge is not None and plan.max_drop is not None
    digests = {
        "onnx": plan.source.digest,
        "ranges": table.digest if table else "",
        "improved_with": text_digest(" ".join(pictures.digests)) if pictures else "",  # in order: the last are held out
        "judged_on": judge.digest if judge is not None and guarded else "",
    }
    choices = {
        "keep_float": " ".join(sorted(plan.keep_float)),
        "max_drop": f"{plan.max_drop:g}" if guarded else "",
    }
    return asked_of(job.builder, plan.precision, digests, choices)


def _make_builder(plan: BuildPlan, table: Callable[[], CalibrationTable | None]) -> Builder:
    """Return what builds for the plan's target; ``table`` is asked when the engine is built.

    Raises:
        MissingPackageError: the runtime is not installed.
        DeviceError: it needs a GPU, and there is none.
    """
    from ssd_edge.engines.ort_build import OrtBuilder

    if plan.target == ORT:
        return OrtBuilder()
    from ssd_edge.engines.trt_build import TrtBuilder
    from ssd_edge.precision.text_cache import write_cache

    def calibration(version: str) -> bytes:
        ranges = table()
        return write_cache(ranges, plan.source.model, version=version) if ranges is not None else b""

    return TrtBuilder(
        plan.target,
        plan.precision,
        plan.options,
        timing_cache=plan.timing_cache,
        calibration=calibration if plan.options.takes_cache and plan.int8 else None,
        told=lambda message: say(f"{plan.target}: {message}"),
    )
