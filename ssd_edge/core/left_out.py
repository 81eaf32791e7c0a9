"""Inputs that a workflow could not use, listed in its result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """One thing that was given and not used.

    Attributes:
        what: a file, or a file with the object in it.
        why: the reason, as a short phrase.
    """

    what: str
    why: str

    def __str__(self) -> str:
        """Return both."""
        return f"{self.what}: {self.why}"
