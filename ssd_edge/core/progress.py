"""How a long step tells the room above it how far it is, without printing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as work goes on; the command line draws a bar from it."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Say that ``done`` of ``total`` steps are done.

        Args:
            done: steps so far.
            total: None where nobody knows how many there will be.
            note: a short text such as ``loss 2.31``.
        """


def silent(done: int, total: int | None, note: str = "") -> None:
    """Take the report and show nothing."""
