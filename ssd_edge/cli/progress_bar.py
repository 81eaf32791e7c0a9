"""The bar itself: imported when one is drawn, as rich takes its time."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

_BAR_LINE = 66
"""Cells that title, bar, count and time left need to be read."""


class NotedProgress(Progress):
    """A bar with the time left and a note, which goes to a line of its own where the terminal is too narrow for both.

    Args:
        console: the terminal.
        disable: draw nothing.
    """

    def __init__(self, console: Console, *, disable: bool) -> None:
        self._terminal = console
        self._bar = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._note = TextColumn("{task.fields[note]}", markup=False)
        super().__init__(
            *self._bar,
            console=console,
            disable=disable,
            redirect_stdout=False,  # rich would send what is written there, data for another program, to stderr
            redirect_stderr=False,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bar, and the note where it is not beside it."""
        note = " ".join(str(task.fields["note"]) for task in self.tasks)
        is_beside = self._terminal.width >= _BAR_LINE + len(note)
        self.columns = (*self._bar, self._note) if is_beside else self._bar
        yield from super().get_renderables()
        if not is_beside:
            yield Text(note, no_wrap=True, overflow="ellipsis")
