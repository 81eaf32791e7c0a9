"""The self-test's page: what a user attaches to a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssd_edge import __version__
from ssd_edge.doctor.check import CheckResult, State
from ssd_edge.doctor.verdict import Verdict
from ssd_edge.reporting.page import Level, note, section, table, write_page

VIRTUAL_MEANS = (
    "The GPU is virtual: the test shows how ssd-edge uses it. It shows nothing about TensorRT, a driver "
    "or a board, and the times are meaningless."
)
_COLUMNS = ("precision", "runtime", "detections", "worst box", "worst score", "median ms", "p95", "p99", "memory", "")
_LEVELS: dict[State, Level] = {State.OK: "", State.WARN: "warning", State.MISSING: "error"}


def write_selftest_page(
    path: Path, verdicts: Sequence[Verdict], checks: Sequence[CheckResult], on_device: Sequence[str] = ()
) -> None:
    """Write the page: what each engine did, where its time goes on a GPU, and what the machine has.

    Raises:
        InputError: the folder cannot be written.
    """
    is_virtual = any(verdict.is_virtual for verdict in verdicts)
    levels: list[Level] = ["error" if verdict.faults else "" for verdict in verdicts]
    engines = table(_COLUMNS, [_cells(verdict) for verdict in verdicts], levels=levels)
    sections = [section("Engines", "", (note(VIRTUAL_MEANS, "warning") if is_virtual else "") + engines)]
    if any(verdict.stages for verdict in verdicts):
        sections.append(section("Stages on the GPU", "Medians in ms.", _stages(verdicts)))
    if on_device:
        rows = [tuple(line.split(": ", 1)) for line in on_device]
        sections.append(section("Forms of the NMS, and the camera", "", table((), rows)))
    machine = table(
        (),
        [(check.name, check.state.value, check.found, check.do) for check in checks],
        levels=[_LEVELS[check.state] for check in checks],
    )
    sections.append(section("Machine", "", machine))
    write_page(path, title="ssd-edge self-test", sections=sections, footer=f"ssd-edge {__version__}")


def _stages(verdicts: Sequence[Verdict]) -> str:
    """Return a table of medians for each engine that ran on a GPU."""
    tables = [(verdict, stages) for verdict in verdicts for stages in verdict.stages]
    names = list(tables[0][1].rows)
    rows = [
        (
            verdict.precision,
            stages.mode,
            *(f"{stages.rows[name].median:.3f}" for name in names),
            f"{stages.throughput:.0f}",
        )
        for verdict, stages in tables
    ]
    return table(("precision", "mode", *names, "frames/s"), rows)


def _cells(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.precision,
        verdict.where,
        str(verdict.compared),
        f"{verdict.worst_box:.4f}",
        f"{verdict.worst_score:.4f}",
        f"{verdict.median_ms:.2f}",
        f"{verdict.p95_ms:.2f}",
        f"{verdict.p99_ms:.2f}",
        f"{verdict.grown_mib:+.1f} MiB in {verdict.frames} frames",
        "; ".join(verdict.faults) or "as it should be",
    )
