"""Memory that an engine's build takes from the machine, as Linux sees it: on a board that is the GPU's, too."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_EVERY_S = 0.05


class Drop:
    """The largest drop of the memory that programs could have.

    Attributes:
        mib: so far; 0 where the system does not report it.
    """

    def __init__(self) -> None:
        self.mib = 0.0
        self._first = _available_mib()

    def look(self) -> None:
        """Compare with the beginning."""
        self.mib = max(self.mib, self._first - _available_mib())


@contextmanager
def watch_memory() -> Iterator[Drop]:
    """Watch the machine's memory inside the block, twenty times a second; other programs count, too."""
    drop, ended = Drop(), threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_S):
            drop.look()

    thread = threading.Thread(target=watch, name="ssd-edge-memory", daemon=True)
    thread.start()
    try:
        yield drop
    finally:
        ended.set()
        thread.join()
        drop.look()


def _available_mib() -> float:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
