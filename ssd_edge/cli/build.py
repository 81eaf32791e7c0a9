"""``ssd-edge build``: an exported ONNX to an engine for this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import say


def build(
    onnx: Annotated[
        Path | None, typer.Argument(help="The exported model; by default the newest engines/*/*.onnx.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The engine; by default <model>.<precision>.<target>.engine beside it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build even where the engine is there already.")] = False,
) -> None:
    """Turn an exported ONNX into an engine for this machine (ONNX Runtime), with its manifest."""
    from ssd_edge.core.manifest import manifest_path
    from ssd_edge.core.workspace import newest_onnx
    from ssd_edge.engines.build import build_engine

    if onnx is None:
        choice = newest_onnx(Path())
        say(choice.note)
        onnx = choice.path
    report = build_engine(onnx, output, force=force)
    made = report.manifest
    what = f"{made.precision} for {made.runtime} {made.runtime_version} on {made.device}"
    say(f"{'already built' if report.reused else 'built'} {report.engine}: {what}")
    say(f"manifest {manifest_path(report.engine)}")
    say(f"next: ssd-edge run --model {report.engine} --camera 0")
