"""What the layers that the guard returned to float cost in time: the engine beside one with all of them in INT8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.cli.console import say
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.scratch import scratch_folder

if TYPE_CHECKING:
    from ssd_edge.cli.build_job import BuildJob
    from ssd_edge.engines.build import BuildReport, Lowered

_COST = "guard_cost"  # milliseconds a picture; no name that ends with _ms, which are whole times


def with_guard_cost(job: BuildJob, lowered: Lowered, report: BuildReport) -> BuildReport:
    """Time an engine that was guarded beside the same without, where both can run here; keep the difference.

    TensorRT takes minutes for another engine: there it is built with ``--compare`` only.
    """
    from ssd_edge.backends.detector import usable_here
    from ssd_edge.core.manifest import manifest_path

    is_asked = job.plan.target == ORT or job.plan.compare
    if lowered.unguarded is None or not is_asked or not usable_here(report.engine):
        return report
    try:
        plain, guarded = _times(job, replace(lowered, model=lowered.unguarded, unguarded=None), report.engine)
    except SsdEdgeError as error:
        say(f"what the guard costs is not timed: {error}")
        return report
    measured = {**report.manifest.measured, _COST: round(guarded - plain, 4)}
    made = replace(report.manifest, measured=measured)
    made.save(manifest_path(report.engine))
    kept = made.options["keep_float"].replace(" ", ", ")
    say(f"in float: {kept}{cost_line(measured)}: {guarded:.2f} ms, and {plain:.2f} ms with every layer in INT8")
    return replace(report, manifest=made)


def cost_line(measured: Mapping[str, float]) -> str:
    """Return in words what the guard costs, from what a manifest keeps of it; empty where it was not timed."""
    return f", which costs {measured[_COST]:.2f} ms a picture" if _COST in measured else ""


def _times(job: BuildJob, plain: Lowered, engine: Path) -> tuple[float, float]:
    """Return the milliseconds a picture without the guard and with it."""
    from ssd_edge.cli.speed import median_times
    from ssd_edge.engines.build import build_lowered

    with scratch_folder() as folder:
        other = build_lowered(job.plan.source, plain, job.builder, folder / "int8.engine").engine
        first, second = median_times([other, engine], job.plan.options.batch.least)
    return first, second
