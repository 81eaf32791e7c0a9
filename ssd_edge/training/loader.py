"""Batches of training examples: their order, which the seed settles, and the worker processes that prepare them.

Several processes that train together cut every large batch into theirs.
"""

from __future__ import annotations

import itertools
import shutil
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.queues import Queue
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, default_collate
from torch.utils.data.dataloader import _BaseDataLoaderIter, _MultiProcessingDataLoaderIter

from ssd_edge.core.errors import InputError, SsdEdgeError, TrainingError
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.opencv_pool import no_opencv_pool
from ssd_edge.training.dataset import Draw, Example, TrainingSet
from ssd_edge.training.targets import Targets

_SHM = "/dev/shm"  # noqa: S108 - looked at, not written
_SHARED_MEMORY = ("shared memory", "Bus error", "shm_open")  # what PyTorch says where it lacks
_TORCH_NOTICES_S = 1.0  # until its handler of SIGCHLD has raised; later it would raise anywhere


class Share(NamedTuple):
    """Share of a process: its part of each step's images.

    Attributes:
        number: of the process, from 0.
        processes: that learn together.
    """

    number: int = 0
    processes: int = 1


ALONE = Share()


class ShuffledDraws(Sampler[Draw]):
    """Every image once an epoch, in an order that depends on (seed, epoch) alone, but for a rest of the last batch.

    Several processes cut every large batch into theirs: together they see the same as one with that large batch.

    Args:
        count: of all images.
        batch_size: of one process.
        seed: of the order.
        share: this process' own.
    """

    def __init__(self, count: int, *, batch_size: int, seed: int, share: Share = ALONE) -> None:
        self._count, self._batch_size, self._seed, self._share = count, batch_size, seed, share
        self._epoch, self._batches = 0, slice(None)

    def __len__(self) -> int:
        return self.batches * self._batch_size

    @property
    def batches(self) -> int:
        """Of this process in a whole epoch."""
        return self._count // (self._batch_size * self._share.processes)

    def __iter__(self) -> Iterator[Draw]:
        order = np.random.default_rng((self._seed, self._epoch)).permutation(self._count)
        whole = order[: self.batches * self._share.processes * self._batch_size]
        own = whole.reshape(self.batches, self._share.processes, self._batch_size)[self._batches, self._share.number]
        return (Draw(self._epoch, int(index)) for index in own.ravel())

    def set_epoch(self, epoch: int, *, done: int = 0, end: int | None = None) -> None:
        """Choose what the next iteration gives: batches ``done`` to ``end`` of an epoch, the last not included."""
        self._epoch, self._batches = epoch, slice(done, end)


class Batch(NamedTuple):
    """Examples that are trained together; the fields of :class:`Example`, stacked.

    Attributes:
        images: (B, H, W, 3) uint8, BGR.
        targets: (B, A) labels and (B, A, 4) offsets.
        paths: B files.
        instead_of: B files that these stand in for, where one cannot be read; else empty.
    """

    images: Tensor
    targets: Targets
    paths: list[str]
    instead_of: Sequence[str] = ()


class BatchLoader:
    """Gives the batches of one epoch after the other; its workers live as long as it does.

    A rest that does not fill a batch is left out: every image has the same weight in the loss, and batch norm has
    something to average over. In the next epoch another rest is left out.

    Args:
        examples: what to draw from.
        batch_size: images a batch.
        workers: processes that prepare batches; 0 prepares them in this process.
        seed: of the order.
        share: this process' own, where several learn together.
        pinned: batches lie in memory that a GPU copies from by itself, while the processor does something else.

    Attributes:
        batch_size: as given.
        share: as given.
        left_out: images that could not be read so far, of this process.

    Raises:
        InputError: fewer images than fill one batch of every process.
    """

    def __init__(
        self,
        examples: TrainingSet,
        *,
        batch_size: int,
        workers: int,
        seed: int,
        share: Share = ALONE,
        pinned: bool = False,
    ) -> None:
        if len(examples) < batch_size * share.processes:
            raise InputError(
                "the training images do not fill one batch",
                got=f"{len(examples)} images",
                wanted=f"at least {batch_size * share.processes}",
                do=f"Add images, or choose a smaller batch: --batch-size {max(len(examples) // share.processes, 2)}",
            )
        self.batch_size, self.share = batch_size, share
        self.left_out: tuple[LeftOut, ...] = ()
        self._draws = ShuffledDraws(len(examples), batch_size=batch_size, seed=seed, share=share)
        self._loader: DataLoader[Example | SsdEdgeError] = _Loader(
            examples,
            batch_size=batch_size,
            sampler=self._draws,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,  # the decoded images are shared, not sent
            collate_fn=_collate,
            worker_init_fn=start_worker,
            persistent_workers=workers > 0,
            drop_last=True,
            pin_memory=pinned,
        )

    def __len__(self) -> int:
        """Batches an epoch."""
        return self._draws.batches

    def epoch(self, number: int, *, done: int = 0, end: int | None = None) -> Iterator[Batch]:
        """Yield batches ``done`` to ``end`` of an epoch, the last not included: the same at every call.

        Raises:
            SsdEdgeError: an image or label cannot be used; the error names it.
            TrainingError: a worker process died.
        """
        self._draws.set_epoch(number, done=done, end=end)
        with no_opencv_pool():  # the workers keep to one thread, which leaves the cores to the network
            batches = iter(self._loader)
        while True:
            with named_worker_death():
                batch: Batch | SsdEdgeError | None = next(batches, None)
            if batch is None:
                return
            if isinstance(batch, SsdEdgeError):
                try:
                    raise batch
                finally:
                    del batch  # it would refer to itself through this frame, and keep the workers waiting
            self._name(batch.instead_of)
            yield batch

    def _name(self, images: Sequence[str]) -> None:
        """Name images that cannot be read, each once."""
        for image in images:
            if image and all(lost.what != image for lost in self.left_out):
                self.left_out = (*self.left_out, LeftOut(image, "cannot be read"))
                log.warning(f"{image} cannot be read and is left out; the next image is used in its place")


class _Loader(DataLoader[Any]):
    """A loader whose clean-up ends although a worker was killed."""

    def _get_iterator(self) -> _BaseDataLoaderIter:
        return _Workers(self) if self.num_workers else super()._get_iterator()


class _Workers(_MultiProcessingDataLoaderIter):
    """The iterator over batches of worker processes."""

    def _shutdown_workers(self) -> None:
        """End the workers; where one was killed, without its locks: it may have died holding one, without end."""
        if all(worker.exitcode in (None, 0) for worker in self._workers):
            super()._shutdown_workers()
            return
        self._shutdown = True  # torch's own clean-up is not to follow
        if hasattr(self, "_pin_memory_thread_done_event"):
            self._pin_memory_thread_done_event.set()
        for worker in self._workers:
            worker.kill()
            worker.join()


def _collate(examples: list[Example | SsdEdgeError]) -> Batch | SsdEdgeError:
    for example in examples:
        if isinstance(example, SsdEdgeError):
            return example
    return Batch(*default_collate(examples))


def grouped(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield lists of ``size`` batches; the last may be shorter."""
    while group := list(itertools.islice(batches, size)):
        yield group


def start_worker(_number: int) -> None:
    """Leave Ctrl-C, and a terminal that is closed, to the process that can save."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Queue._on_queue_feeder_error = staticmethod(_unless_ended)  # type: ignore[attr-defined]


def _unless_ended(error: Exception, _item: object) -> None:
    """Print the error of a thread that sends batches, as Python does, but not where the main process is ending.

    That removes the folder of sockets first, and the worker that is still sending would print a traceback.
    """
    if not isinstance(error, FileNotFoundError | ConnectionError):
        traceback.print_exception(error)


@contextmanager
def named_worker_death() -> Iterator[None]:
    """Turn what torch raises when a worker process is killed or lacks memory, in whatever line, into a TrainingError.

    Raises:
        TrainingError: a worker was killed, most often for want of memory, or shared memory is full.
    """
    try:
        yield
    except (EOFError, ConnectionError) as error:  # it died while it handed a batch over
        with suppress(RuntimeError):
            time.sleep(_TORCH_NOTICES_S)
        raise _worker_died(str(error)) from error
    except RuntimeError as error:
        if any(sign in str(error) for sign in _SHARED_MEMORY):
            raise _no_shared_memory(str(error)) from error
        if not str(error).startswith("DataLoader worker"):
            raise
        raise _worker_died(str(error)) from error


def _no_shared_memory(reason: str) -> TrainingError:
    lines = [line for line in reason.splitlines() if any(sign in line for sign in _SHARED_MEMORY)]
    try:
        size = f"{shutil.disk_usage(_SHM).total / 2**20:.0f} MiB"
    except OSError:
        size = "none"
    return TrainingError(
        f"shared memory ({_SHM}), through which data workers pass on batches, is full",
        got=f"{lines[-1].strip()}; the size of {_SHM} is {size}",
        wanted="space for a few batches of each worker",
        do="In a container, use docker run --shm-size 1g or --ipc host. Otherwise, train without data workers: "
        "--workers 0",
    )


def _worker_died(reason: str) -> TrainingError:
    return TrainingError(
        "a data worker was killed by another process or by the system",
        got=reason.partition("\n")[0] or "a closed connection",
        do="The usual cause is too little memory: use fewer workers or a smaller batch, for example --workers 0.",
    )
