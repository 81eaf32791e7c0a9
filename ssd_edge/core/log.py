"""The one log channel of the package: the logger ``ssd_edge``, silent unless the program configures logging.

Workflows and rooms write to it; ``cli/console.py`` has the handler that shows its lines to a user.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ssd_edge.core.secrets import hide_in_text


class _Printable(logging.Filter):
    """Hides credentials in addresses, and escapes file names that are no text, on which a handler would fail."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record."""
        message = record.getMessage()
        printable = hide_in_text(message.encode("utf-8", "backslashreplace").decode("utf-8"))
        if printable != message:
            record.msg, record.args = printable, ()
        return True


def counted(count: int, noun: str) -> str:
    """Return ``1 error``, ``2 errors``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


log = logging.getLogger("ssd_edge")
log.addHandler(logging.NullHandler())
log.addFilter(_Printable())


@contextmanager
def errors_only() -> Iterator[None]:
    """Log errors only inside the block: what is said there concerns files that nobody sees."""

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    log.addFilter(is_error)
    try:
        yield
    finally:
        log.removeFilter(is_error)


@contextmanager
def quiet_logger(name: str, level: int) -> Iterator[None]:
    """Keep back what another package's logger says below a level inside the block."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
