"""Tolerance for unusable images and objects."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BAD = 0.1
"""Share of the images, or of the objects, that may be left out by default."""


@dataclass(frozen=True)
class Tolerance:
    """Handling of images and objects that cannot be used.

    Attributes:
        max_bad: largest share of them, 0 to 1; more is refused.
        strict: refuse the first one.
    """

    max_bad: float = MAX_BAD
    strict: bool = False


TOLERANT = Tolerance()
"""Default tolerance."""
