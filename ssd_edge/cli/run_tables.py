"""Tables at the end of ``ssd-edge run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssd_edge.cli.console import show_table

if TYPE_CHECKING:
    from ssd_edge.workflows.run_streams import RunResult


def show_run(result: RunResult, *, stderr: bool) -> None:
    """Print what a run took, of several sources also each one's figures, and the objects that were tracked."""
    ending = " (stopped)" if result.stopped else ""
    dropped = f", {result.dropped} dropped" if result.live else ""
    title = f"{result.source}: {result.frames} frames in {result.seconds:.2f} s, {result.fps:.1f} FPS{dropped}{ending}"
    rows = [
        (
            times.stage.replace("_", " "),
            *(f"{value:.2f}" for value in (times.mean_ms, times.p50_ms, times.p95_ms, times.p99_ms, times.max_ms)),
        )
        for times in result.stages
    ]
    show_table(title, ("stage, ms", "mean", "p50", "p95", "p99", "max"), rows, stderr=stderr)
    if len(result.streams) > 1:
        _show_streams(result, stderr=stderr)
    if any(stream.objects is not None for stream in result.streams):
        _show_objects(result, stderr=stderr)


def _show_streams(result: RunResult, *, stderr: bool) -> None:
    rows = []
    for stream in result.streams:
        status = stream.status
        counts = (status.dropped, status.skipped, status.repeated, status.stalls, status.retries)
        state = f"{status.state.value}{f' ({status.reason.value})' if status.reason else ''}"
        rows.append((stream.name, str(stream.frames), f"{stream.fps:.1f}", *map(str, counts), state))
    heads = ("stream", "frames", "FPS", "dropped", "skipped", "repeated", "stalls", "retries", "state")
    show_table("streams", heads, rows, stderr=stderr)


def _show_objects(result: RunResult, *, stderr: bool) -> None:
    several = len(result.streams) > 1
    rows = [
        (stream.name, label, str(count))
        for stream in result.streams
        for label, count in sorted((stream.objects or {}).items())
    ]
    if not rows:
        return
    heads = ("stream", "label", "count")
    first = 0 if several else 1
    show_table("objects", heads[first:], [row[first:] for row in rows], stderr=stderr)
