"""A benchmark as a page: tables, latencies by block, and what batches and streams give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ssd_edge.reporting.chart import Panel, Series, chart_svg
from ssd_edge.reporting.page import Level, card, figure, grid, listing, section, series_key, table, write_page
from ssd_edge.workflows.benchmark.result import BenchResult, Contestant, Throughput
from ssd_edge.workflows.benchmark.tables import Table, bench_tables, machine_lines

_MOST_LINES = 6  # that a reader can distinguish in a chart


def write_bench_page(path: Path, result: BenchResult) -> None:
    """Write the page.

    Raises:
        InputError: the folder cannot be written.
    """
    write_page(
        path,
        title="Benchmark",
        subtitle=f"{len(result.contestants)} models, measured in turns on {result.images}",
        cards=[card(f"{entry.latency.median:.2f} ms", entry.name) for entry in result.contestants[:_MOST_LINES]],
        sections=[_machine(result), *map(_section, bench_tables(result)), *_charts(result)],
        footer=f"{result.machine.processor}, {result.at}",
    )


def _machine(result: BenchResult) -> str:
    warnings = len(result.warnings)
    levels: list[Level] = ["error" if result.is_disturbed and not n else "warning" for n in range(warnings)]
    lines = machine_lines(result)
    levels += [""] * (len(lines) - warnings)
    missing: list[tuple[Level, str]] = [("warning", f"left out: {entry}") for entry in result.left_out]
    return section("Machine and run", "", listing([*zip(levels, lines, strict=True), *missing]))


def _section(entry: Table) -> str:
    return section(entry.title, entry.text, table(entry.columns, entry.rows, notes=entry.notes))


def _charts(result: BenchResult) -> list[str]:
    kinds: tuple[tuple[str, str, Callable[[Contestant], Sequence[Throughput]], Callable[[Throughput], int]], ...] = (
        ("images a second", "batch size", lambda entry: entry.batches, lambda point: point.batch),
        ("images a second, all streams", "streams", lambda entry: entry.streams, lambda point: point.callers),
    )
    figures = [_blocks(group) for group in _groups(result) if len(group[0].block_medians_ms) > 1]
    for title, axis, points, size in kinds:
        chosen = [entry for entry in result.contestants if len(points(entry)) > 1]
        for start in range(0, len(chosen), _MOST_LINES):
            part = chosen[start : start + _MOST_LINES]
            series = tuple(
                Series(
                    entry.name,
                    tuple(float(size(point)) for point in points(entry)),
                    tuple(point.fps for point in points(entry)),
                )
                for entry in part
            )
            figures.append(_chart(Panel(title, axis, series)))
    return [section("Charts", "", grid(figures, "charts"))] if figures else []


def _groups(result: BenchResult) -> list[list[Contestant]]:
    names = dict.fromkeys(entry.group for entry in result.contestants)
    groups = [[entry for entry in result.contestants if entry.group == name] for name in names]
    return [group[start : start + _MOST_LINES] for group in groups for start in range(0, len(group), _MOST_LINES)]


def _blocks(group: Sequence[Contestant]) -> str:
    """Return the chart that shows whether a run was steady: each line is flat, or all rise together."""
    series = tuple(
        Series(entry.name, tuple(float(n + 1) for n in range(len(entry.block_medians_ms))), entry.block_medians_ms)
        for entry in group
    )
    return _chart(Panel(f"{group[0].group}: median of each block, ms", "block", series))


def _chart(panel: Panel) -> str:
    return figure(chart_svg(panel), panel.caption, key=series_key([series.label for series in panel.series]))
