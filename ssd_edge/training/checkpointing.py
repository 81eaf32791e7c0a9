"""The state of a run between two steps: kept in state.pt, from which it goes on as if it had never stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssd_edge.core.errors import ArtifactError, InputError, one_line
from ssd_edge.model.checkpoint import write_archive
from ssd_edge.model.ssd import SSD
from ssd_edge.model.torch_archive import load_archive
from ssd_edge.training.ema import WeightAverage
from ssd_edge.training.metrics import EpochRecord, StepLoss
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.training.step import Learner

_FORMAT = "ssd-edge/run-state/2"


@dataclass(frozen=True)
class RunState:
    """The contents of state.pt.

    Attributes:
        epoch: that the run is in, from 1.
        batches: of that epoch that each process has trained on.
        processes: that train together.
        weights, average, optimizer, scaler: state dicts of the network, of the moving average, of SGD (its momentum)
            and of float16's loss scale (empty where there is none).
        average_updates: how often the average took in the weights: the steps since the beginning of the run.
        random: PyTorch's random state; order and views of the images depend on seed and epoch alone.
        spent: what the budget has counted: steps or seconds.
        seconds: since the start of the run, interruptions left out.
        losses: (steps, 2) localization and confidence of the epoch's steps so far.
        learning_rate: of the last step.
        validations: seconds that each took; a budget of time sets aside as much for the last.
        records: of the epochs before, as dictionaries.
        best_mean_ap: of best.pt; None before the first validation.
        since_best: validations since one was better than all before.
    """

    epoch: int
    batches: int
    processes: int
    weights: dict[str, Any]
    average: dict[str, Any]
    average_updates: int
    optimiser: dict[str, Any]
    scaler: dict[str, Any]
    random: Tensor
    spent: float
    seconds: float
    losses: Tensor
    learning_rate: float
    validations: list[float]
    records: list[dict[str, Any]] = field(default_factory=list)
    best_mean_ap: float | None = None
    since_best: int = 0

    def save(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        write_archive(path, {"format": _FORMAT, **content})

    @classmethod
    def load(cls, path: Path) -> RunState:
        """Read it; nothing in the file is executed.

        Raises:
            InputError: the file cannot be read.
            ArtifactError: it is damaged, or of another version.
        """
        content = load_archive(path, lambda text: _damaged(path, text.splitlines()[0]), wanted=_FORMAT)
        if not isinstance(content, dict):
            raise _damaged(path, type(content).__name__)
        found = content.pop("format", None)
        if found == _FORMAT:
            try:
                return cls(**content)
            except TypeError as error:
                raise _damaged(path, str(error)) from error
        raise ArtifactError(f"{path} was written by another version of ssd-edge", got=repr(found), wanted=_FORMAT)


@dataclass
class RunPosition:
    """Position of a run.

    Attributes:
        epoch: that it is in, from 1.
        batches: of that epoch that each process has trained on.
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
class RunParts:
    """Parts of a run besides its position, each with its own state.

    Attributes:
        learner: network, optimizer and loss scale.
        average: of the weights.
        files: with the records of the epochs before.
        processes: that train together.
    """

    learner: Learner
    average: WeightAverage[SSD]
    files: RunFolder
    processes: int

    def save(self, position: RunPosition) -> None:
        """Write state.pt, whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        RunState(
            epoch=position.epoch,
            batches=position.batches,
            processes=self.processes,
            weights=self.learner.model.state_dict(),
            average=self.average.model.state_dict(),
            average_updates=self.average.updates,
            optimiser=self.learner.optimiser.state_dict(),
            scaler=self.learner.scaler_state(),
            random=torch.get_rng_state(),
            spent=position.spent,
            seconds=position.seconds,
            losses=torch.tensor(position.losses, dtype=torch.float64).reshape(-1, 2),
            learning_rate=position.learning_rate,
            validations=list(position.validations),
            records=[asdict(record) for record in self.files.records],
            best_mean_ap=self.files.best_mean_ap,
            since_best=self.files.since_best,
        ).save(self.files.state)

    def restore(self, state: RunState) -> RunPosition:
        """Give every part its state, and return the position.

        Raises:
            InputError: the state is of another number of processes, whose places in the epoch are others.
            ArtifactError: it does not fit the network.
        """
        _check_processes(state.processes, self.processes)
        try:
            return self._restored(state)
        except Exception as error:
            raise _damaged(self.files.state, one_line(f"{type(error).__name__}: {error}")) from error

    def _restored(self, state: RunState) -> RunPosition:
        self.learner.model.load_state_dict(state.weights)
        self.learner.optimiser.load_state_dict(state.optimiser)
        self.learner.load_scaler(state.scaler)
        self.average.restore(state.average, state.average_updates)
        torch.set_rng_state(state.random)
        records = [EpochRecord(**record) for record in state.records]
        self.files.restore(records, best_mean_ap=state.best_mean_ap, since_best=state.since_best)
        return RunPosition(
            epoch=state.epoch,
            batches=state.batches,
            steps=state.average_updates,
            spent=state.spent,
            seconds=state.seconds,
            losses=[StepLoss(*parts) for parts in state.losses.tolist()],
            learning_rate=state.learning_rate,
            validations=list(state.validations),
        )


def _damaged(state: Path, reason: str) -> ArtifactError:
    return ArtifactError(f"{state} is damaged", got=reason, wanted=_FORMAT, do="Train again.")


def _check_processes(before: int, now: int) -> None:
    if before != now:
        raise InputError(
            "the run was started with a different number of processes",
            got=f"{now} now",
            wanted=f"{before}, as before",
            do=f"Use the same number: --devices {before}, or {before} processes of torchrun.",
        )
