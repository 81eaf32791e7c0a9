"""The bar itself, which shows a note beside it or below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

_BAR_LINE = 66
"""Cells that title, bar, count and time left need to be read."""


def noted_progress(terminal: Console, *, disable: bool) -> Progress:
    """Return a bar with the time left; each task's ``note`` goes below where the terminal is too narrow for both.

    Args:
        terminal: where it is drawn.
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
        redirect_stdout=False,  # rich would send what is written there, data for another program, to stderr
        redirect_stderr=False,
    )
