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
    model: Annotated[Path | None, typer.Argument(help="Exported .onnx file (default: the newest in engines/).")] = None,
    host: Annotated[
        Host | None, typer.Option("--for", metavar="HOST", help=f"Target of the package: {', '.join(Host)}.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Output folder (default: packages/<model>-<target>)."),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            help="Image to check the package on (default: one of the calibration set, or a generated scene).",
            metavar="PATH",
        ),
    ] = None,
    max_batch: Annotated[
        int, _of_host(min=1, help="Largest batch that Triton or DeepStream may form.")
    ] = PackageConfig.max_batch,
    precision: Annotated[
        Precision,
        _of_host(help="Precision for DeepStream; fp16 needs DeepStream 9.0 or later, int8 needs a calibration table."),
    ] = PackageConfig.precision,
    calibration_cache: Annotated[
        str | None,
        _of_host(
            metavar="VERSION",
            help="INT8 for DeepStream before 9.0: write a calibration cache for this TensorRT version, e.g. 10.3.0.",
        ),
    ] = None,
    score_threshold: Annotated[
        float, _of_host(min=0, max=1, help="DeepStream shows detections with a score above this, 0 to 1.")
    ] = PackageConfig.score_threshold,
    engine: Annotated[
        Path | None,
        _of_host(metavar="PATH", help="TensorRT engine to add to a package for Triton, or to compare with --verify."),
    ] = None,
    wheel: Annotated[
        Path | None,
        _of_host(metavar="PATH", help="Wheel of ssd-edge to add to a package for a board that has no ssd-edge."),
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option("--verify", metavar="PATH", help="Check this package (a folder or a .tar.gz) and exit."),
    ] = None,
    workspace: Annotated[
        Path,
        typer.Option(
            "--workspace", metavar="FOLDER", help="Workspace: the folder with runs/, calibration/ and engines/."
        ),
    ] = Path(),
) -> None:
    """Package an exported model for DeepStream, Frigate, Triton or a board, with digests, and check the package."""
    from ssd_edge.workflows.package import package as package_model
    from ssd_edge.workflows.package_verification import verify_package

    if (verify is None) is (host is None):
        raise typer.BadParameter(f"give either --for {'|'.join(Host)} or --verify PATH")
    if verify is not None:
        if model is not None or output is not None:
            raise typer.BadParameter("--verify takes only a package: leave out the model and --output")
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
        f"{result.path} is complete and unchanged: {result.model} for {result.host}, {len(result.files)} files, "
        f"{result.detections} detections, the same as when it was packaged"
    )
