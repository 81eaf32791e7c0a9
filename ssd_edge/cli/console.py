"""Terminal output: log lines, tables and progress bars. Rich is imported when something is drawn."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ssd_edge.core.files import written_beside
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.secrets import hide_in_text, hide_words
from ssd_edge.core.shell import printable, printable_json

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType
    from rich.progress import Progress as Bars

    from ssd_edge.core.progress import Progress, ProgressCallback, ProgressEvent

_BAR_LINE = 66
"""Columns that title, bar, count and remaining time need."""


def noted_progress(terminal: Console, *, disable: bool) -> Bars:
    """Return a bar with the remaining time; each task's ``note`` goes below it if the terminal is too narrow.

    Args:
        terminal: console to draw on.
        disable: draw nothing.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    title = TextColumn("{task.description}", markup=False)
    bar = (title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar_and_note = (*bar, TextColumn("{task.fields[note]}", markup=False))

    class NotedProgress(Progress):
        def get_renderables(self) -> Iterable[RenderableType]:
            note = " ".join(str(task.fields["note"]) for task in self.tasks)
            is_beside = terminal.width >= _BAR_LINE + len(note)
            self.columns = bar_and_note if is_beside else bar
            yield from super().get_renderables()
            if not is_beside:
                yield Text(note, no_wrap=True, overflow="ellipsis")

    return NotedProgress(
        *bar,
        console=terminal,
        disable=disable,
        redirect_stdout=False,  # rich would move stdout, which may be data for another program, to stderr
        redirect_stderr=False,
    )


_with_bar: list[Console] = []  # the terminal while a bar is shown on it


class ConsoleHandler(logging.Handler):
    """Show log records as plain lines on stderr, above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        _show_line(self.format(record))


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON object: ``time`` (UTC), ``level``, ``logger``, ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps(
            {
                "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": _hidden(record.getMessage()),
            }
        )


def show_log(*, verbose: bool = False, quiet: bool = False, as_json: bool = False) -> None:
    """Show the package's log on stderr: from INFO on, from DEBUG on (verbose), or from WARNING on (quiet)."""
    handler = _handler()
    if handler is None:
        handler = ConsoleHandler()
        log.addHandler(handler)
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(message)s"))
    log.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)


def _handler() -> ConsoleHandler | None:
    return next((entry for entry in log.handlers if isinstance(entry, ConsoleHandler)), None)


def logs_json() -> bool:
    """Return whether stderr carries JSON lines and nothing else."""
    handler = _handler()
    return handler is not None and isinstance(handler.formatter, JsonFormatter)


def hush() -> None:
    """Stop logging in this process, because another process of the run logs; fatal errors are still printed."""
    log.setLevel(logging.CRITICAL + 1)


def say(text: str, level: int = logging.INFO) -> None:
    """Log one line on stderr, like a message of a workflow: at INFO it is not shown with ``--quiet``."""
    if _handler() is None:
        _show_line(text)
    else:
        log.log(level, "%s", text)


def complain(text: str) -> None:
    """Print the error that ends the command, also with ``--quiet``; passwords in addresses are hidden."""
    text = _hidden(text)
    if logs_json():
        log.error("%s", text)
    else:
        typer.secho(f"ssd-edge: {printable(text)}", fg="red", err=True)


def _hidden(text: str) -> str:
    """Hide credentials in addresses, those with spaces in them too where they were typed as an argument."""
    return hide_in_text(hide_words(text, sys.argv[1:]))


def _show_line(text: str) -> None:
    """Print one line on stderr, above a progress bar; stdout is for data."""
    text = printable(_hidden(text))
    if not _with_bar:
        typer.echo(text, err=True)
        return
    from rich.text import Text

    _with_bar[-1].print(Text(text), soft_wrap=True)


def put(text: str) -> None:
    """Print a line on stdout."""
    typer.echo(printable(_hidden(text)))


def write_json(target: Path | str, text: str) -> None:
    """Write JSON to a file (atomically), or to stdout if ``target`` is ``-``; names from files obey no terminal."""
    text = printable_json(text)
    if str(target) == "-":
        sys.stdout.write(text)
        return
    with written_beside(Path(target)) as partial:
        partial.write_text(text, encoding="utf-8")


def exit_incomplete(left_out: Sequence[LeftOut]) -> None:
    """End the command with exit code 1 where its result is incomplete; what was left out was named before."""
    if left_out:
        say(f"the result is incomplete: {len(left_out)} left out, for example {left_out[0]}", logging.WARNING)
        raise typer.Exit(1)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, stderr: bool = False) -> None:
    """Print a table on stdout, or on stderr if stdout carries data; the first column is left-aligned.

    On stderr it is not shown with ``--quiet``, and is one log line per row with ``--log-json``.
    """
    if stderr and logs_json():
        for row in rows:
            say(f"{title}: " + ", ".join(f"{name} {cell}".strip() for name, cell in zip(columns, row, strict=True)))
        return
    if stderr and _handler() is not None and not log.isEnabledFor(logging.INFO):
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=stderr)

    def plain(text: str, style: str = "") -> Text:
        # Text takes brackets literally; characters outside the terminal's encoding are escaped.
        return Text(
            printable(_hidden(text)).encode(console.encoding, "backslashreplace").decode(console.encoding), style
        )

    table = Table(title=plain(title, "table.title"), title_justify="left")
    for number, column in enumerate(columns):
        # On a narrow terminal, names and headings wrap; numbers are never cut.
        widest = max((len(row[number]) for row in rows), default=0) if number else 0
        justify: JustifyMethod = "right" if number else "left"
        table.add_column(plain(column), justify=justify, overflow="fold", min_width=widest)
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console.print(table)


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """Yield a function that draws a progress bar on stderr; it draws nothing without a terminal or with JSON lines."""
    if logs_json() or not sys.stderr.isatty():
        yield _draw_nothing  # and rich, a tenth of what a command takes to start, is not imported
        return
    from rich.console import Console

    with noted_progress(Console(stderr=True), disable=False) as progress:
        task = progress.add_task(title, total=None, note="")

        if not progress.disable:
            _with_bar.append(progress.console)

        def report(done: int, total: int | None, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=printable(note))

        try:
            yield report
        finally:
            _with_bar.clear()


def _draw_nothing(done: int, total: int | None, note: str = "") -> None:
    """Take what a bar is called with."""


@contextmanager
def bars() -> Iterator[ProgressCallback]:
    """Yield a progress callback that draws a bar for each stage of a workflow."""
    with ExitStack() as stack:
        open_bars: dict[str, Progress] = {}

        def show(event: ProgressEvent) -> None:
            if event.is_over:
                if open_bars.pop(event.stage, None) is not None:
                    stack.close()
                return
            if event.stage not in open_bars:
                open_bars[event.stage] = stack.enter_context(bar(event.stage))
            open_bars[event.stage](event.done, event.total, event.note)

        yield show
