"""``ssd-edge doctor``: what this machine can do, what is missing, and the command that mends it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import say

if TYPE_CHECKING:
    from ssd_edge.doctor.facts import Facts
    from ssd_edge.doctor.line import Line

_COLOURS = {"ok": "green", "warn": "yellow", "missing": "red"}


def doctor(
    json_path: Annotated[
        str | None,
        typer.Option("--json", metavar="PATH", help="Write the lines and all that was looked at; - for stdout."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Judge another machine by its --json.")
    ] = None,
) -> None:
    """Say what this machine can do, what is missing, and the command that mends it; exit 1 where something is."""
    from ssd_edge.doctor.examine import examine
    from ssd_edge.doctor.facts import Facts, Recorded
    from ssd_edge.doctor.line import State
    from ssd_edge.doctor.live import Live

    facts = Facts(Recorded(record) if record else Live())
    lines = examine(facts)
    if json_path != "-":
        show_lines(lines)
    if json_path is not None:
        _write_json(json_path, lines, facts)
    if any(line.state is State.MISSING for line in lines):
        raise typer.Exit(1)


def show_lines(lines: list[Line]) -> None:
    """Print a line each, and under it what mends it."""
    wide = max(len(line.name) for line in lines)
    for line in lines:
        state = typer.style(f"{line.state.value:<8}", fg=_COLOURS[line.state.value])
        typer.echo(f"{state}{line.name:<{wide}}  {line.found}")
        if line.do:
            typer.echo(f"{'':<{8 + wide}}  do: {line.do}")


def _write_json(json_path: str, lines: list[Line], facts: Facts) -> None:
    from ssd_edge.core.files import written_beside
    from ssd_edge.doctor.facts import FACTS_FORMAT

    entries = [{"name": line.name, "state": line.state.value, "found": line.found, "do": line.do} for line in lines]
    text = json.dumps({"format": FACTS_FORMAT, "lines": entries, "facts": facts.answers}, indent=1) + "\n"
    if json_path == "-":
        sys.stdout.write(text)
        return
    with written_beside(Path(json_path)) as partial:
        partial.write_text(text, encoding="utf-8")
    say(f"wrote {json_path}; attach it to a report")
