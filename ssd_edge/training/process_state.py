"""Put back what training changes in its process, which belongs to the program that calls."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils.data._utils import signal_handling

from ssd_edge.core.environment import unchanged_environment


@contextmanager
def unchanged_process() -> Iterator[None]:
    """Leave PyTorch's random state and threads, the environment and the handler of SIGCHLD as they were found.

    Seeds and threads are set for the whole process, Fabric's launcher writes where its processes meet into the
    environment, and PyTorch answers SIGCHLD from its first data workers on. Two trainings at once in one process share
    one random state: both are right, but their bits are not those of a run alone.
    """
    threads = torch.get_num_threads()
    random, random_of_gpus, seed = torch.get_rng_state(), _states_of_gpus(), torch.initial_seed()
    on_child_exit = signal.getsignal(signal.SIGCHLD)
    try:
        with unchanged_environment():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(random)
        _restore_gpus(random_of_gpus, seed)
        _restore_sigchld(on_child_exit)


def _states_of_gpus() -> list[torch.Tensor]:
    """Return the random state of each GPU; none where no GPU is in use yet, for to look would start it."""
    return torch.cuda.get_rng_state_all() if _gpus_in_use() else []


def _gpus_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _restore_gpus(states: list[torch.Tensor], seed: int) -> None:
    if states:
        torch.cuda.set_rng_state_all(states)
    elif _gpus_in_use():  # only now: it would have begun with the seed that the processor had
        torch.cuda.manual_seed_all(seed)


def _restore_sigchld(before: object) -> None:
    """Take PyTorch's handler away again; its next data workers put it there anew."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGCHLD) is before:
        return
    if callable(before) or isinstance(before, signal.Handlers):
        signal.signal(signal.SIGCHLD, before)
        signal_handling._SIGCHLD_handler_set = False
