"""What the commands show: lines, tables and progress bars. Rich is imported when something is drawn."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod

    from ssd_edge.core.progress import Progress

_with_bar: list[Console] = []  # the terminal, as long as a bar is on it
_hushed: list[bool] = []  # not empty: another process of the same run says it all


def hush() -> None:
    """Say nothing and draw no bars from now on; errors are still printed."""
    _hushed.append(True)


def say(text: str) -> None:
    """Print one line for the user, on stderr, so that stdout stays free for data; above the bar, where there is one."""
    if _hushed:
        return
    if not _with_bar:
        typer.echo(text, err=True)
        return
    from rich.text import Text

    _with_bar[-1].print(Text(text), soft_wrap=True)


def quoted(path: Path) -> str:
    """Return a path as it can be typed into a shell: in quotes where it has spaces and the like."""
    return shlex.quote(str(path))


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, stderr: bool = False) -> None:
    """Print a table on stdout, or on stderr where stdout carries data; the first column is left-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=stderr)

    def plain(text: str, style: str = "") -> Text:
        # As Text, brackets are no markup; and a file name may hold what the terminal's encoding has no sign for.
        return Text(text.encode(console.encoding, "backslashreplace").decode(console.encoding), style)

    table = Table(title=plain(title, "table.title"), title_justify="left")
    for number, column in enumerate(columns):
        # Where the terminal is narrow, names and headings go on in the next line; figures are never cut.
        widest = max((len(row[number]) for row in rows), default=0) if number else 0
        justify: JustifyMethod = "right" if number else "left"
        table.add_column(plain(column), justify=justify, overflow="fold", min_width=widest)
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console.print(table)


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """Yield a progress reporter that draws a bar with the time left on stderr; silent where that is no terminal."""
    from rich.console import Console

    from ssd_edge.cli.progress_bar import noted_progress

    with noted_progress(Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(title, total=None, note="")

        if not progress.disable:
            _with_bar.append(progress.console)

        def report(done: int, total: int | None, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=note)

        try:
            yield report
        finally:
            _with_bar.clear()
