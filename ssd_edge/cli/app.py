"""The ``ssd-edge`` command line: commands that are imported on use, and one error handler."""

from __future__ import annotations

import ast
import errno
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ssd_edge import __version__
from ssd_edge.cli.console import complain, show_log
from ssd_edge.cli.old_options import Command
from ssd_edge.cli.plain_options import spare_conversion
from ssd_edge.cli.signals import BROKEN_PIPE, drop_stdout, drop_unread_output, is_reader_gone
from ssd_edge.core.errors import MissingPackageError, SsdEdgeError
from ssd_edge.core.limits import set_limits
from ssd_edge.core.resources import resource_error
from ssd_edge.core.secrets import hide_in_text, hide_words
from ssd_edge.core.shell import printable

_COMMANDS = {  # module and function of each, in the order of the help
    "bench": "bench:bench",
    "build": "build:build",
    "calibrate": "calibrate:calibrate",
    "eval": "eval:evaluate",
    "demo": "demo:demo",
    "doctor": "doctor:doctor",
    "export": "export:export",
    "import": "import_model:import_model",
    "init": "workspace:init",
    "inspect": "inspect:inspect",
    "label": "label_images:label",
    "models": "models:models",
    "package": "package:package",
    "run": "run:run",
    "runs": "workspace:runs",
    "train": "train:train",
    "use": "workspace:use",
    "data": "data:data",
}


_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # of click, which newer typers bring along under another name

_OPTIONS = {"max_drop_points": "--max-drop"}  # of a workflow's keyword, where its option has another name


class Commands(TyperGroup):
    """The commands, with one error handler: one sentence and exit code 1; Ctrl-C exits 130.

    If the reader of stdout or stderr has gone (as with ``| head``), nothing more is printed: exit code 141.
    """

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line and flush stdout."""
        try:
            try:
                return super().main(*args, **options)
            finally:
                sys.stdout.flush()
        except SystemExit as leaving:  # typer and rich leave with 1 where they meet a broken pipe
            if isinstance(leaving.__context__, BrokenPipeError):
                drop_unread_output()
                sys.exit(BROKEN_PIPE)
            raise
        except OSError as error:
            if isinstance(error, BrokenPipeError) and is_reader_gone():
                drop_unread_output()
                sys.exit(BROKEN_PIPE)
            if error.errno != errno.ENOSPC or error.filename is not None:  # a file's error names the file
                raise
            drop_stdout()
            complain(f"cannot write to stdout: {error.strerror}")
            sys.exit(1)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands ahead of the command."""
        spare_conversion(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return self._invoke(ctx)
        except (SsdEdgeError, BrokenPipeError) as error:
            if _means_no_reader(error):
                drop_unread_output()
                raise typer.Exit(BROKEN_PIPE) from error
            if isinstance(error, BrokenPipeError):
                raise
            if ctx.params.get("debug"):
                raise
            error.name_options(_options_of(ctx.invoked_subcommand))
            complain(str(error))
            raise typer.Exit(error.exit_code) from error
        except (ImportError, MemoryError, RuntimeError, OSError, UnicodeEncodeError) as error:
            named = _named(error)
            if named is None or ctx.params.get("debug"):
                raise
            complain(str(named))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as stop:
            complain("stopped.")
            raise typer.Exit(130) from stop

    def _invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _USAGE_ERROR as error:  # typer shows what was typed: an address may hold a password
            error.message = printable(hide_in_text(hide_words(error.message, sys.argv[1:])))
            raise
        except (SsdEdgeError, ImportError) as error:
            stop = _signal_behind(error)
            if stop is not None:
                raise stop from None
            raise


def _named(error: Exception) -> SsdEdgeError | None:
    """Return the error in a sentence where something ran out or is not installed; None where it is another."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        return None  # of stdout, most likely
    named = resource_error(error)
    if named is None and isinstance(error, ImportError):
        what = "a required package cannot be imported"
        return MissingPackageError(what, got=str(error), do="Run: ssd-edge doctor")
    return named


def _means_no_reader(error: Exception) -> bool:
    """Return whether the error is that the reader of stdout has gone; the JSON-lines sink raises its own error."""
    if isinstance(error, SsdEdgeError):
        return isinstance(error.__cause__, BrokenPipeError) and error.what.startswith("stdout ")
    return is_reader_gone()


def _signal_behind(error: BaseException) -> BaseException | None:
    """Return the signal that caused an error: a C++ library that is being imported turns it into an ImportError."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, KeyboardInterrupt | SystemExit):
        link = link.__cause__
    return link


class LazyCommands(Commands):
    """The commands of ``_COMMANDS``; a module is imported when its command runs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=_help_of(place)) for name, place in _COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and the remaining arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name)), rest


def _options_of(command: str | None) -> dict[str, str]:
    """Return the options of a command, or of all parts of it, by the keyword that each stands for."""
    if command not in _COMMANDS:
        return {}
    found = load_command(str(command))
    parts = list(getattr(found, "commands", {}).values()) or [found]
    options = [option for part in parts for option in part.params if option.param_type_name == "option"]
    return {option.name: max(option.opts, key=len) for option in options} | _OPTIONS


def load_command(name: str) -> Any:
    """Import a command by its name."""
    module, function = _COMMANDS[name].split(":")
    found = getattr(import_module(f"ssd_edge.cli.{module}"), function)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name, cls=Command)(found)
    return typer.main.get_command(alone)


def _help_of(place: str) -> str | None:
    """Read the docstring of a command's function, or of its callback ``root``, without importing the module."""
    module, function = place.split(":")
    text = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    functions = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    found = {node.name: ast.get_docstring(node) for node in functions}
    return found.get(function) or found.get("root")


app = typer.Typer(
    name="ssd-edge",
    cls=LazyCommands,
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
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log debug messages too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log only warnings and errors.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log as JSON lines on stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--limit", metavar="NAME=N", help="Raise a size limit for input files, e.g. pixels=400M; repeatable."
        ),
    ] = None,
) -> None:
    """Train SSD object detectors on labelled images and run them on live cameras."""
    show_log(verbose=verbose, quiet=quiet, as_json=log_json)
    set_limits(limits or [])
