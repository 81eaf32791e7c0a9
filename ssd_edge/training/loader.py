"""Batches of training examples from worker processes, in an order that the seed settles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.training.dataset import Example, TrainingSet
from ssd_edge.training.draws import ALONE, Share, ShuffledDraws
from ssd_edge.training.targets import Targets
from ssd_edge.training.workers import named_worker_death, no_opencv_threads, start_worker


class Batch(NamedTuple):
    """Examples that are learnt together; the fields of :class:`Example`, stacked.

    Attributes:
        images: (B, H, W, 3) uint8, BGR.
        targets: (B, A) labels and (B, A, 4) offsets.
        paths: B files.
    """

    images: Tensor
    targets: Targets
    paths: list[str]


class BatchLoader:
    """Gives the batches of one epoch after the other; its workers live as long as it does.

    A rest that does not fill a batch is left out: every picture has the same weight in the loss, and batch norm has
    something to average over. In the next epoch another rest is left out.

    Args:
        examples: what to draw from.
        batch_size: pictures a batch.
        workers: processes that prepare batches; 0 prepares them in this process.
        seed: of the order.
        share: this process' own, where several learn together.
        pinned: batches lie in memory that a GPU copies from by itself, while the processor does something else.

    Attributes:
        batch_size: as given.
        share: as given.

    Raises:
        InputError: fewer pictures than fill one batch of every process.
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
                "the training pictures do not fill one batch",
                got=f"{len(examples)} pictures",
                wanted=f"at least {batch_size * share.processes}",
                do=f"Add pictures, or choose a smaller batch: --batch-size {max(len(examples) // share.processes, 2)}",
            )
        self.batch_size, self.share = batch_size, share
        self._draws = ShuffledDraws(len(examples), batch_size=batch_size, seed=seed, share=share)
        self._loader: DataLoader[Example | SsdEdgeError] = DataLoader(
            examples,
            batch_size=batch_size,
            sampler=self._draws,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,  # the decoded pictures are shared, not sent
            collate_fn=_collate,
            worker_init_fn=start_worker,
            persistent_workers=workers > 0,
            drop_last=True,
            pin_memory=pinned,
        )

    def __len__(self) -> int:
        """Batches an epoch."""
        return self._draws.batches

    def epoch(self, number: int, *, done: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, but for the first ``done``, which were learnt from before.

        Raises:
            SsdEdgeError: a picture or label cannot be used; the error names it.
            TrainingError: a worker process died.
        """
        self._draws.set_epoch(number, done=done)
        with no_opencv_threads():
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
            yield batch


def _collate(examples: list[Example | SsdEdgeError]) -> Batch | SsdEdgeError:
    for example in examples:
        if isinstance(example, SsdEdgeError):
            return example
    return Batch(*default_collate(examples))


def grouped(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield lists of ``size`` batches; the last may be shorter."""
    while group := list(itertools.islice(batches, size)):
        yield group
