"""``ssd-edge init``, ``runs`` and ``use``: create a workspace, list its runs, pin the engine of ``run``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import say, show_table, write_json
from ssd_edge.core.shell import quoted

Workspace = Annotated[
    Path,
    typer.Option("--workspace", metavar="FOLDER", help="Workspace: the folder with runs/, calibration/ and engines/."),
]


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the workspace; created if missing.")] = Path(),
) -> None:
    """Create a workspace: a folder with runs/, calibration/ and engines/, where commands find their input."""
    from ssd_edge.workflows.workspace import init_workspace

    result = init_workspace(folder)
    say(
        f"created {', '.join(f'{path}/' for path in result.made)}"
        if result.made
        else f"{folder} is already a workspace"
    )
    say(f"next: {'' if folder == Path() else f'cd {quoted(folder)} && '}ssd-edge train path/to/images")


def runs(
    workspace: Workspace = Path(),
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH|-", help="Write the list as JSON; - for stdout.")
    ] = None,
) -> None:
    """List the runs that have a checkpoint, newest first: mAP, network, classes, date."""
    from ssd_edge.workflows.workspace import find_runs

    result = find_runs(workspace=workspace)
    for lost in result.left_out:
        say(lost.why, logging.WARNING)
    if json_path is not None:
        write_json(json_path, json.dumps([run.to_dict() for run in result.runs], indent=1) + "\n")
        return
    rows = [
        (
            run.name,
            f"{run.mean_ap:.3f}" if run.mean_ap is not None else run.origin,
            run.preset or f"{run.architecture} {run.input_size[0]}x{run.input_size[1]}",
            str(len(run.class_names)),
            run.saved_at[:16].replace("T", " "),
        )
        for run in result.runs
    ]
    if rows:
        show_table(f"runs in {result.path}", ("run", "mAP", "network", "classes", "saved (UTC)"), rows)
        say(f"next: ssd-edge export {quoted(result.runs[0].path)}")
    else:
        say(f"no run in {result.path} has a checkpoint; next: ssd-edge train path/to/images")


def use(
    engine: Annotated[
        str | None,
        typer.Argument(
            help="Engine to pin: its path, its file name, or the name of a model with exactly one engine in engines/."
        ),
    ] = None,
    newest: Annotated[bool, typer.Option("--newest", help="Use the newest engine again.")] = False,
    workspace: Workspace = Path(),
) -> None:
    """Pin the current engine: `run` then uses it even if newer engines are built."""
    from ssd_edge.workflows.workspace import use_engine

    if (engine is None) is not newest:
        raise typer.BadParameter("give either an engine or --newest")
    result = use_engine(engine, workspace=workspace)
    made = result.manifest
    pinned = " (pinned; to use the newest again: ssd-edge use --newest)" if result.is_pinned else " (the newest)"
    say(f"run uses {result.path}: {made.precision} for {made.runtime} on {made.device}{pinned}")
