"""What a signal began to close is not torn by the next: keys are hit twice, and service managers hurry.

Imports nothing of the package and nothing heavy: the process answers signals before anything else is imported.
"""

from __future__ import annotations

import time

PATIENCE_S = 3.0
"""How long closing files and the GPU may take before another signal interrupts that too."""

_began: list[float] = []


def begin_closing() -> None:
    """Note that closing begins now."""
    _began[:] = [time.monotonic()]


def is_closing() -> bool:
    """Tell whether closing began not long ago, so that a signal that asks for it has nothing to add."""
    return bool(_began) and time.monotonic() - _began[0] < PATIENCE_S
