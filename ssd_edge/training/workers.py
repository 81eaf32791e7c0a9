"""The processes that prepare batches: how they begin, and what is said when one dies."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import cv2

from ssd_edge.core.errors import TrainingError

_TORCH_NOTICES_S = 1.0  # until its handler of SIGCHLD has raised; later it would raise anywhere


@contextmanager
def no_opencv_threads() -> Iterator[None]:
    """Stop OpenCV's threads while workers are forked: a fork inherits the pool without its threads and waits for ever.

    The workers keep to one thread, which leaves the cores to the network.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def start_worker(_number: int) -> None:
    """Leave Ctrl-C to the process that can save."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def named_worker_death() -> Iterator[None]:
    """Turn what torch raises when a worker process is killed, in whatever line that is, into a TrainingError.

    Raises:
        TrainingError: a worker was killed, most often for want of memory.
    """
    try:
        yield
    except (EOFError, ConnectionError) as error:  # it died while it handed a batch over
        with suppress(RuntimeError):
            time.sleep(_TORCH_NOTICES_S)
        raise _worker_died(str(error)) from error
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise _worker_died(str(error)) from error


def _worker_died(reason: str) -> TrainingError:
    return TrainingError(
        "a data worker was ended from outside",
        got=reason.partition("\n")[0] or "a closed connection",
        do="Memory is the usual cause: take fewer workers or a smaller batch, for example --workers 0.",
    )
