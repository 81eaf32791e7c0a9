"""All that a run needs to go on as if it had never stopped: state.pt."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.model.checkpoint import write_archive

_FORMAT = "ssd-edge/run-state/2"


@dataclass(frozen=True)
class RunState:
    """A run between two steps.

    Attributes:
        epoch: that it is in, from 1.
        batches: of that epoch that each process has learnt from.
        processes: that learn together.
        weights, average, optimiser, scaler: state dicts of the network, of the moving average, of SGD (its momentum)
            and of float16's loss scale (empty where there is none).
        average_updates: how often the average took in the weights.
        random: PyTorch's random state; order and views of the pictures depend on seed and epoch alone.
        spent: what the budget has counted: steps or seconds.
        seconds: since the start of the run, interruptions left out.
        losses: (steps, 2) localisation and confidence of the epoch's steps so far.
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
            ArtefactError: it is damaged, or of another version.
        """
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            found = content.pop("format", None)
            if found == _FORMAT:
                return cls(**content)
        except OSError as error:
            raise InputError(f"{path} cannot be read", got=error.strerror or str(error), wanted=_FORMAT) from error
        except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, AttributeError, KeyError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ArtefactError(f"{path} is damaged", got=reason, wanted=_FORMAT, do="Train again.") from error
        raise ArtefactError(f"{path} was written by another version", got=repr(found), wanted=_FORMAT)


def as_plain(record: Any) -> dict[str, Any]:
    """Return an epoch's record as what :class:`RunState` holds."""
    return asdict(record)
