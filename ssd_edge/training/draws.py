"""Which pictures an epoch shows, and in what order: settled by the seed, whoever learns from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from ssd_edge.training.dataset import Draw


class Share(NamedTuple):
    """Which part of each step's pictures is one process' own.

    Attributes:
        number: of the process, from 0.
        processes: that learn together.
    """

    number: int = 0
    processes: int = 1


ALONE = Share()


class ShuffledDraws(Sampler[Draw]):
    """Every picture once an epoch, in an order that depends on (seed, epoch) alone, but for a rest of the last batch.

    Several processes cut every large batch into theirs: together they see the same as one with that large batch.

    Args:
        count: of all pictures.
        batch_size: of one process.
        seed: of the order.
        share: this process' own.
    """

    def __init__(self, count: int, *, batch_size: int, seed: int, share: Share = ALONE) -> None:
        self._count, self._batch_size, self._seed, self._share = count, batch_size, seed, share
        self._epoch = self._done = 0

    def __len__(self) -> int:
        return self.batches * self._batch_size

    @property
    def batches(self) -> int:
        """Of this process in a whole epoch."""
        return self._count // (self._batch_size * self._share.processes)

    def __iter__(self) -> Iterator[Draw]:
        order = np.random.default_rng((self._seed, self._epoch)).permutation(self._count)
        whole = order[: self.batches * self._share.processes * self._batch_size]
        own = whole.reshape(self.batches, self._share.processes, self._batch_size)[self._done :, self._share.number]
        return (Draw(self._epoch, int(index)) for index in own.ravel())

    def set_epoch(self, epoch: int, *, done: int = 0) -> None:
        """Choose the order that the next iteration gives, without the first ``done`` batches."""
        self._epoch, self._done = epoch, done
