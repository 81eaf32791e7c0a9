"""``ssd-edge demo``: run the whole chain on drawn images, up to a video with boxes and a report."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table
from ssd_edge.core.shell import quoted
from ssd_edge.demo.plan import FULL, QUICK, DemoFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ssd_edge.demo.step_cache import Done

DEFAULT_FOLDER = Path("demo")


def demo(
    folder: Annotated[
        Path, typer.Option("--folder", help="Folder for all results; it becomes a workspace.")
    ] = DEFAULT_FOLDER,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.01, help=f"Maximum training time in minutes (default: {FULL.minutes:g})."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Train for seconds instead of minutes; every step runs, but the detector is weak."
        ),
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run every step again, even if its result is there.")] = False,
) -> None:
    """Generate a data set, then train, export, build, run on a video and evaluate."""
    from ssd_edge.demo.steps import run_demo

    plan = QUICK if quick else FULL
    if minutes is not None:
        plan = dataclasses.replace(plan, minutes=minutes)
    files = DemoFiles(folder)
    with bars() as progress:
        done = run_demo(plan, files, fresh=fresh, progress=progress)
    show_demo(done, files)


def show_demo(done: Sequence[Done], files: DemoFiles) -> None:
    """Print the results and the time of each step."""
    times = [(step.name, f"{step.seconds:.1f}", "reused" if step.skipped else "done") for step in done]
    total = sum(step.seconds for step in done if not step.skipped)
    show_table("Steps", ("step", "seconds", ""), [*times, ("this time", f"{total:.1f}", "")])
    show_table("Accuracy and speed", ("", "mAP@0.5", "median ms", "FPS"), done[-1].facts["table"])
    say(f"open {files.report} in a browser; the video is {files.annotated}, its boxes are in {files.lines}")
    say(f"next: cd {quoted(files.folder)} && {_command()} run --camera 0")


def _command() -> str:
    """Return how to type ssd-edge here: its name if the shell finds it, else its path."""
    return "ssd-edge" if which("ssd-edge") else str(Path(sys.executable).with_name("ssd-edge"))
