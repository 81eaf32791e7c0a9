"""The self-test's page: what a user attaches to a report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ssd_edge.doctor.check import CheckResult
from ssd_edge.doctor.verdict import Verdict

_STYLE = (
    "body{font:14px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left}"
    ".missing{color:#c0392b}.warn{color:#b9770e}"
)
VIRTUAL_MEANS = (
    "The GPU is virtual: what is proved is how ssd-edge uses it. Nothing is proved of TensorRT, "
    "of a driver or of a board, and the times mean nothing."
)
_COLUMNS = ("precision", "runtime", "detections", "worst box", "worst score", "median ms", "p95", "p99", "memory", "")


def selftest_page(verdicts: Sequence[Verdict], lines: Sequence[CheckResult]) -> str:
    """Return the whole page as HTML without anything from elsewhere."""
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(verdict))}</tr>" for verdict in verdicts
    )
    heads = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
    machine = "".join(
        f'<tr class="{line.state.value}"><td>{line.state.value}</td><td>{escape(line.name)}</td>'
        f"<td>{escape(line.found)}</td><td>{escape(line.do)}</td></tr>"
        for line in lines
    )
    return (
        f'<!doctype html><meta charset="utf-8"><title>ssd-edge self-test</title><style>{_STYLE}</style>'
        f"<h1>ssd-edge self-test</h1>{_warning(verdicts)}<table><tr>{heads}</tr>{rows}</table>{_stages(verdicts)}"
        f"<h2>Machine</h2><table>{machine}</table>\n"
    )


def _warning(verdicts: Sequence[Verdict]) -> str:
    return f"<p class='warn'>{escape(VIRTUAL_MEANS)}</p>" if any(verdict.is_virtual for verdict in verdicts) else ""


def _stages(verdicts: Sequence[Verdict]) -> str:
    """Return a table of medians for each engine that ran on a GPU."""
    tables = [(verdict, table) for verdict in verdicts for table in verdict.stages]
    if not tables:
        return ""
    names = list(tables[0][1].rows)
    heads = "".join(f"<th>{escape(name)}</th>" for name in ("precision", "mode", *names, "frames/s"))
    rows = "".join(
        f"<tr><td>{escape(verdict.precision)}</td><td>{escape(table.mode)}</td>"
        + "".join(f"<td>{table.rows[name].median:.3f}</td>" for name in names)
        + f"<td>{table.throughput:.0f}</td></tr>"
        for verdict, table in tables
    )
    return f"<h2>Stages on the GPU, medians in ms</h2><table><tr>{heads}</tr>{rows}</table>"


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
