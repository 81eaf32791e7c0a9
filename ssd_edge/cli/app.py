"""The ``ssd-edge`` command: joins the rooms, and turns errors into one sentence and exit code 1."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ssd_edge import __version__
from ssd_edge.core.errors import SsdEdgeError

app = typer.Typer(
    name="ssd-edge",
    help="From labelled images to SSD boxes on a live camera.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ssd-edge {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """From labelled images to SSD boxes on a live camera."""
    if debug:
        os.environ["SSD_EDGE_DEBUG"] = "1"


def main() -> None:
    """Run the command line; a named error is printed without a traceback and exits 1, Ctrl-C exits 130."""
    try:
        app(standalone_mode=True)
    except SsdEdgeError as error:
        if os.environ.get("SSD_EDGE_DEBUG"):
            raise
        typer.secho(f"ssd-edge: {error}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.secho("ssd-edge: stopped.", err=True)
        sys.exit(130)
