"""A run between two steps as a :class:`RunState`, and back."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ssd_edge.core.errors import InputError
from ssd_edge.model.ssd import SSD
from ssd_edge.training.ema import WeightAverage
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.training.run_state import RunState, as_plain
from ssd_edge.training.step import Learner, StepLoss


@dataclass
class Place:
    """How far a run is.

    Attributes:
        epoch: that it is in, from 1.
        batches: of that epoch that each process has learnt from.
        steps: made since the beginning of the run.
        spent: what the budget has counted: steps or seconds.
        seconds: since the start of the run, interruptions left out.
        losses: of the epoch's steps so far.
        learning_rate: of the last step.
        validations: seconds that each took.
    """

    epoch: int = 1
    batches: int = 0
    steps: int = 0
    spent: float = 0.0
    seconds: float = 0.0
    losses: list[StepLoss] = field(default_factory=list)
    learning_rate: float = 0.0
    validations: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Parts:
    """What a run consists of besides its place, each with a state of its own.

    Attributes:
        learner: network, optimiser and loss scale.
        average: of the weights.
        files: with the records of the epochs before.
        processes: that learn together.
    """

    learner: Learner
    average: WeightAverage[SSD]
    files: RunFolder
    processes: int

    def save(self, place: Place) -> None:
        """Write state.pt, whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        RunState(
            epoch=place.epoch,
            batches=place.batches,
            processes=self.processes,
            weights=self.learner.model.state_dict(),
            average=self.average.model.state_dict(),
            average_updates=self.average.updates,
            optimiser=self.learner.optimiser.state_dict(),
            scaler=self.learner.scaler_state(),
            random=torch.get_rng_state(),
            spent=place.spent,
            seconds=place.seconds,
            losses=torch.tensor(place.losses, dtype=torch.float64).reshape(-1, 2),
            learning_rate=place.learning_rate,
            validations=list(place.validations),
            records=[as_plain(record) for record in self.files.records],
            best_mean_ap=self.files.best_mean_ap,
            since_best=self.files.since_best,
        ).save(self.files.state)

    def restore(self, state: RunState) -> Place:
        """Give every part its state, and return the place.

        Raises:
            InputError: the state is of another number of processes, whose places in the epoch are others.
        """
        _refuse_other_processes(state.processes, self.processes)
        self.learner.model.load_state_dict(state.weights)
        self.learner.optimiser.load_state_dict(state.optimiser)
        self.learner.load_scaler(state.scaler)
        self.average.restore(state.average, state.average_updates)
        torch.set_rng_state(state.random)
        self.files.restore(state)
        return Place(
            epoch=state.epoch,
            batches=state.batches,
            steps=state.average_updates,
            spent=state.spent,
            seconds=state.seconds,
            losses=[StepLoss(*parts) for parts in state.losses.tolist()],
            learning_rate=state.learning_rate,
            validations=list(state.validations),
        )


def _refuse_other_processes(before: int, now: int) -> None:
    if before != now:
        raise InputError(
            "the run was begun with another number of processes",
            got=str(now),
            wanted=str(before),
            do=f"Give it {before} again: --devices {before}, or as many of torchrun.",
        )
