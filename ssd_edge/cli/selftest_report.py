"""Shows what the self-test found: a row for each engine, its stages, and the page."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say, show_table

if TYPE_CHECKING:
    from ssd_edge.doctor.line import Line
    from ssd_edge.doctor.verdict import Verdict


def run_and_show(engine: Path | None, images: Path | None, frames: int, lines: list[Line], page: Path) -> list[Verdict]:
    """Run the self-test, print a row for each engine, and write the page."""
    from ssd_edge.cli.selftest import run_selftest
    from ssd_edge.core.files import written_beside
    from ssd_edge.doctor.page import EMULATED_MEANS, selftest_page

    verdicts = run_selftest(engine, images, frames)
    if any(verdict.emulated for verdict in verdicts):
        say(EMULATED_MEANS)
    for verdict in verdicts:
        state = "; ".join(verdict.faults) or "as it should be"
        say(f"{verdict.precision} on {verdict.where}: {state}")
        if verdict.error:
            continue
        say(
            f"  {verdict.compared} detections compared, boxes within {verdict.worst_box:.4f} (1 - IoU), "
            f"scores within {verdict.worst_score:.4f}; median {verdict.median_ms:.2f} ms, p99 {verdict.p99_ms:.2f}; "
            f"memory {verdict.grown_mib:+.1f} MiB in {verdict.frames} frames"
        )
        if verdict.prediction is not None:
            found = verdict.prediction
            say(
                f"  against its own graph on the processor: {found.lost} detections differ, boxes within "
                f"{found.worst_box:.4f}, scores within {found.worst_score:.4f}"
            )
        show_stages(verdict)
    with written_beside(page) as partial:
        partial.write_text(selftest_page(verdicts, lines), encoding="utf-8")
    say(f"wrote {page}; attach it to a report")
    return verdicts


def show_stages(verdict: Verdict) -> None:
    """Print the stages of an engine on a GPU in trtexec's terms; on a processor there are none."""
    from ssd_edge.doctor.stages import graph_gain

    if not verdict.stages:
        say("  on a processor nothing is copied and nothing is queued: H2D, D2H and enqueue times have no meaning")
        return
    for table in verdict.stages:
        rows = [
            (name, *(f"{value:.3f}" for value in dataclasses.astuple(spread))) for name, spread in table.rows.items()
        ]
        title = f"{verdict.precision}, {table.mode}: {table.throughput:.0f} frames/s one at a time, in ms"
        show_table(title, ("", "min", "mean", "median", "p90", "p95", "p99", "max"), rows, stderr=True)
    say(f"  {graph_gain(verdict.stages)}")
