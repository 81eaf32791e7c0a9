"""A benchmark as Markdown, for an issue or a README."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.files import written_beside
from ssd_edge.workflows.benchmark.result import BenchResult
from ssd_edge.workflows.benchmark.tables import Table, bench_tables, machine_lines


def write_markdown(path: Path, result: BenchResult) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    with written_beside(path) as partial:
        partial.write_text(markdown_text(result), encoding="utf-8", errors="backslashreplace")


def markdown_text(result: BenchResult) -> str:
    """Return the page."""
    parts = ["# Benchmark", *(f"- {_plain(line)}" for line in machine_lines(result))]
    parts += [f"- left out: {_plain(str(entry))}" for entry in result.left_out]
    head = f"{parts[0]}\n\n" + "\n".join(parts[1:])
    return "\n\n".join([head, *map(_section, bench_tables(result))]) + "\n"


def _section(table: Table) -> str:
    rows = [table.columns, tuple("---" for _ in table.columns), *table.rows]
    lines = "\n".join(f"| {' | '.join(map(_plain, row))} |" for row in rows)
    named = zip(table.rows, table.notes, strict=False)
    notes = "".join(f"\n\n{_plain(row[0])}: {_plain(note)}." for row, note in named if note)
    return f"## {table.title}\n\n{_plain(table.text)}\n\n{lines}{notes}"


def _plain(text: str) -> str:
    """Return text that a table may hold."""
    return text.replace("|", "\\|").replace("\n", " ")
