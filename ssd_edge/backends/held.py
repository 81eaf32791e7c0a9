"""What this process holds on the GPU, counted by kind: what is left once everything is closed is a leak with a name."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable

_held: Counter[str] = Counter()
_lock = threading.RLock()  # a thing may be collected, and so dropped, in the middle of a count


def hold(kind: str, thing: object) -> Callable[[], object]:
    """Count a thing as held until it is collected, or until what is returned is called."""
    with _lock:
        _held[kind] += 1
    dropped = weakref.finalize(thing, _drop, kind)
    dropped.atexit = False
    return dropped


def what_is_held() -> dict[str, int]:
    """Return how many there are of each kind, e.g. ``{"execution context": 2}``; empty where nothing is held."""
    with _lock:
        return {kind: count for kind, count in sorted(_held.items()) if count}


def _drop(kind: str) -> None:
    with _lock:
        _held[kind] -= 1
