"""``ssd-edge package``: an exported model with all that another host needs, and the check of such a package."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import say, show_table
from ssd_edge.core.choices import Host, Precision
from ssd_edge.core.shell import quoted
from ssd_edge.workflows.package_config import PackageConfig

if TYPE_CHECKING:
    from ssd_edge.workflows.package import PackageResult
    from ssd_edge.workflows.package_verification import VerifyPackageResult

_of_host = partial(typer.Option, rich_help_panel="For one host")


def package(
    model: Annotated[Path | None, typer.Argument(help="Exported .onnx file (default: the newest of engines/).")] = None,
    host: Annotated[
        Host | None, typer.Option("--for", metavar="HOST", help=f"Host to package for: {', '.join(Host)}.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder (default: packages/<model>-<host>)."),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            help="Image to check the package on (default: from the calibration set, or a drawn scene).", metavar="PATH"
        ),
    ] = None,
    max_batch: Annotated[int, _of_host(min=1, help="Images that the host may put together.")] = PackageConfig.max_batch,
    precision: Annotated[
        Precision,
        _of_host(help="Precision of deepstream; fp16 from its 9.0 on, int8 with a calibration table."),
    ] = PackageConfig.precision,
    calibration_cache: Annotated[
        str | None,
        _of_host(
            metavar="VERSION", help="INT8 for deepstream before 9.0: calibration cache of this TensorRT, e.g. 10.3.0."
        ),
    ] = None,
    score_threshold: Annotated[
        float, _of_host(min=0, max=1, help="Score above which deepstream shows a detection.")
    ] = PackageConfig.score_threshold,
    engine: Annotated[
        Path | None,
        _of_host(metavar="PATH", help="TensorRT engine to add, for triton; with --verify, an engine to compare."),
    ] = None,
    wheel: Annotated[
        Path | None, _of_host(metavar="PATH", help="Wheel of ssd-edge to add, for a board without ssd-edge.")
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option("--verify", metavar="PATH", help="Check a package, a folder or a .tar.gz, and end."),
    ] = None,
    workspace: Annotated[
        Path, typer.Option("--workspace", metavar="FOLDER", help="Folder with engines/ and calibration/.")
    ] = Path(),
) -> None:
    """Package an exported model for DeepStream, Frigate, Triton or a board, checked and with its digests."""
    from ssd_edge.workflows.package import package as package_model
    from ssd_edge.workflows.package_verification import verify_package

    if (verify is None) is (host is None):
        raise typer.BadParameter(f"give either --for {'|'.join(Host)} or --verify PATH")
    if verify is not None:
        if model is not None or output is not None:
            raise typer.BadParameter("--verify takes a package alone, no model and no --output")
        _show_verified(verify_package(verify, engine=engine))
    elif host is not None:
        config = PackageConfig(output, image, max_batch, precision, calibration_cache, score_threshold, engine, wheel)
        _show(package_model(model, host=host, config=config, workspace=workspace))


def _show(result: PackageResult) -> None:
    rows = [(name, str((result.path / name).stat().st_size)) for name in result.files]
    show_table(f"{result.path}, for {result.host}", ("file", "bytes"), rows)
    say(f"the packaged image has {result.detections} detections, the same in every form of the model")
    say(f"packaged {result.archive}")
    say(f"next: read {quoted(result.path / 'README.md')}; to check a copy: ssd-edge package --verify PATH")


def _show_verified(result: VerifyPackageResult) -> None:
    say(
        f"{result.path} is whole: {result.model} for {result.host}, {len(result.files)} files, "
        f"{result.detections} detections as they were packed"
    )
