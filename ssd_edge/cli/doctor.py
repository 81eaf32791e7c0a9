"""``ssd-edge doctor``: what this machine can do, what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import say, show_table
from ssd_edge.core.errors import AccuracyError, InputError

if TYPE_CHECKING:
    from ssd_edge.doctor.check import Line
    from ssd_edge.doctor.facts import Facts
    from ssd_edge.doctor.verdict import Verdict


def run_and_show(engine: Path | None, images: Path | None, frames: int, lines: list[Line], page: Path) -> list[Verdict]:
    """Run the self-test, print a row for each engine, and write the page."""
    from ssd_edge.core.files import written_beside
    from ssd_edge.doctor.page import EMULATED_MEANS, selftest_page
    from ssd_edge.workflows.selftest import run_selftest

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
    from ssd_edge.doctor.verdict import graph_gain

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


_COLOURS = {"ok": "green", "warn": "yellow", "missing": "red"}


def doctor(
    engine: Annotated[
        Path | None, typer.Argument(help="With --selftest: an engine to prove; by default small ones are built.")
    ] = None,
    json_path: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="PATH",
            help="Write the lines and all that was looked at; - for stdout. By default a self-test's, beside its page.",
        ),
    ] = None,
    selftest: Annotated[
        bool, typer.Option("--selftest", help="Build small engines, run them, compare with float32, time them.")
    ] = False,
    frames: Annotated[int, typer.Option("--frames", min=1, help="Of the self-test, for its times and memory.")] = 1000,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="With an engine of your own: a folder of pictures with what it detects."),
    ] = None,
    page: Annotated[Path, typer.Option("--page", help="Where the self-test's page goes.")] = Path("selftest.html"),
    record: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Judge another machine by its --json.")
    ] = None,
    emulated: Annotated[
        str | None,
        typer.Option(
            "--emulated",
            metavar="RELEASE",
            help="In a clone: an emulated GPU with a stand-in of TensorRT, e.g. 10.3, rtx.",
        ),
    ] = None,
) -> None:
    """Say what this machine can do, what is missing, and the command that mends it; exit 1 where something is."""
    from ssd_edge.doctor.check import State
    from ssd_edge.doctor.examine import examine
    from ssd_edge.doctor.facts import Facts, Recorded
    from ssd_edge.doctor.live import Live

    _refuse_contradictions(engine, images, record, emulated, selftest=selftest)
    if selftest and json_path is None:
        json_path = _beside(page)
    if emulated is not None:
        raise typer.Exit(_on_emulated_gpu(emulated, engine, images, json_path, selftest, frames, page))
    facts = Facts(Recorded(record) if record else Live())
    lines = examine(facts) if record is None else _judged(facts, record)
    if json_path != "-":
        show_lines(lines)
    verdicts = run_and_show(engine, images, frames, lines, page) if selftest else []
    if json_path is not None:
        _write_json(json_path, lines, facts, verdicts)
    if any(verdict.faults for verdict in verdicts):
        raise AccuracyError(
            "the self-test failed", got="; ".join(dict.fromkeys(fault for entry in verdicts for fault in entry.faults))
        )
    if any(line.state is State.MISSING for line in lines):
        raise typer.Exit(1)


def _refuse_contradictions(
    engine: Path | None, images: Path | None, record: Path | None, emulated: str | None, *, selftest: bool
) -> None:
    if engine is not None and not selftest:
        raise InputError("an engine is named, but --selftest is not", do=f"ssd-edge doctor --selftest {engine}")
    if images is not None and engine is None:
        raise InputError(
            "--images is for an engine of your own", do=f"ssd-edge doctor --selftest ENGINE --images {images}"
        )
    if emulated is not None and record is not None:
        raise InputError("--emulated and --from are two machines", wanted="one of them")
    if selftest and record is not None:
        raise InputError("--selftest runs here, and --from is of another machine", wanted="one of them")


def _beside(page: Path) -> str:
    """Return where the self-test's JSON goes."""
    if page.suffix == ".json":
        raise InputError("--page is a page", got=str(page), wanted="e.g. selftest.html; its figures: --json")
    return str(page.with_suffix(".json"))


def _judged(facts: Facts, record: Path) -> list[Line]:
    """Examine a record, in which anything may stand once it was edited."""
    from ssd_edge.doctor.examine import examine

    try:
        return examine(facts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{record} is no whole record of a machine",
            got=f"{type(error).__name__}: {error}",
            wanted="a file that ssd-edge doctor --json wrote",
        ) from error


def _on_emulated_gpu(
    release: str,
    engine: Path | None,
    images: Path | None,
    json_path: str | None,
    selftest: bool,
    frames: int,
    page: Path,
) -> int:
    from ssd_edge.cli.emulated import run_emulated

    arguments = ["doctor", *([str(engine)] if engine else []), *(["--selftest"] if selftest else [])]
    arguments += ["--frames", str(frames), "--page", str(page), *(["--json", json_path] if json_path else [])]
    arguments += ["--images", str(images)] if images else []
    return run_emulated(release, arguments)


def show_lines(lines: list[Line]) -> None:
    """Print a line each, and under it what mends it."""
    wide = max(len(line.name) for line in lines)
    for line in lines:
        state = typer.style(f"{line.state.value:<8}", fg=_COLOURS[line.state.value])
        typer.echo(f"{state}{line.name:<{wide}}  {line.found}")
        if line.do:
            typer.echo(f"{'':<{8 + wide}}  do: {line.do}")


def _write_json(json_path: str, lines: list[Line], facts: Facts, verdicts: list[Verdict]) -> None:
    from ssd_edge.core.files import written_beside
    from ssd_edge.doctor.facts import FACTS_FORMAT

    entries = [{"name": line.name, "state": line.state.value, "found": line.found, "do": line.do} for line in lines]
    fields = {"format": FACTS_FORMAT, "lines": entries, "facts": facts.answers}
    if verdicts:
        fields["selftest"] = [{**dataclasses.asdict(verdict), "faults": verdict.faults} for verdict in verdicts]
    text = json.dumps(fields, indent=1) + "\n"
    if json_path == "-":
        sys.stdout.write(text)
        return
    with written_beside(Path(json_path)) as partial:
        partial.write_text(text, encoding="utf-8")
    say(f"wrote {json_path}; attach it to a report")
