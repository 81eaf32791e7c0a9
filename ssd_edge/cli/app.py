"""The ``ssd-edge`` command: joins the rooms, and turns errors into one sentence and exit code 1."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ssd_edge import __version__
from ssd_edge.cli.build import build
from ssd_edge.cli.calibrate import calibrate
from ssd_edge.cli.console import show_log
from ssd_edge.cli.data import data
from ssd_edge.cli.demo import demo
from ssd_edge.cli.doctor import doctor
from ssd_edge.cli.eval import evaluate
from ssd_edge.cli.export import export
from ssd_edge.cli.import_model import import_model
from ssd_edge.cli.inspect import inspect
from ssd_edge.cli.presets import models
from ssd_edge.cli.run import run
from ssd_edge.cli.train import train
from ssd_edge.core.errors import SsdEdgeError


class Commands(TyperGroup):
    """The commands, with one handler for the errors of all: a sentence and exit code 1; Ctrl-C exits 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return self._invoke(ctx)
        except SsdEdgeError as error:
            if ctx.params.get("debug"):
                raise
            typer.secho(f"ssd-edge: {error}", fg="red", err=True)
            raise typer.Exit(1) from error
        except ImportError as error:  # also of a library of the system, e.g. OpenCV's libGL.so.1
            if ctx.params.get("debug"):
                raise
            said = f"ssd-edge: a package that this needs cannot be imported: got {error}. See: ssd-edge doctor"
            typer.secho(said, fg="red", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as stop:
            typer.secho("ssd-edge: stopped.", err=True)
            raise typer.Exit(130) from stop

    def _invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (SsdEdgeError, ImportError) as error:
            stop = _signal_behind(error)
            if stop is not None:
                raise stop from None
            raise


def _signal_behind(error: BaseException) -> BaseException | None:
    """Return the signal behind an error: a library in C++ that is being imported makes an ImportError of it."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, KeyboardInterrupt | SystemExit):
        link = link.__cause__
    return link


app = typer.Typer(
    name="ssd-edge",
    cls=Commands,
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
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log only warnings and errors.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON lines on stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """From labelled images to SSD boxes on a live camera."""
    show_log(verbose=verbose, quiet=quiet, as_json=log_json)


app.command("build")(build)
app.command("calibrate")(calibrate)
app.add_typer(data)
app.command("eval")(evaluate)
app.command("demo")(demo)
app.command("doctor")(doctor)
app.command("export")(export)
app.command("import")(import_model)
app.command("inspect")(inspect)
app.command("models")(models)
app.command("run")(run)
app.command("train")(train)
