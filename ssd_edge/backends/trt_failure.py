"""Errors of the thread that owns the GPU, on their way to other threads: nothing of the GPU may hang on them."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import TypeVar

from ssd_edge.core.errors import DeviceError, SsdEdgeError

_log = logging.getLogger(__name__)
Failure = TypeVar("Failure", bound=Exception)


def settled(error: Exception, path: Path) -> SsdEdgeError:
    """Return an error of ours as it is, and any other, which is a bug, as one that says where; both without frames."""
    if isinstance(error, SsdEdgeError):
        return forget_frames(error)
    found = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__}: {error} ({Path(found.filename).name}, line {found.lineno})"
    forget_frames(error)
    return DeviceError(
        f"the thread that runs {path} ended", got=why, do="Report it with: ssd-edge doctor --json board.json"
    )


def forget_frames(error: Failure) -> Failure:
    """Return the error without tracebacks, whose frames would keep streams and events alive past their context."""
    _log.debug("the GPU's thread failed", exc_info=error)
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
