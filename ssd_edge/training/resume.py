"""An interrupted run goes on: which run is meant, what it was asked to do, and how far it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.ranks import is_first_process, machine_number
from ssd_edge.core.run_data import RunData
from ssd_edge.core.shell import quoted
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.find import open_dataset
from ssd_edge.training.checkpointing import RunState
from ssd_edge.training.config import Machine, SavedPlan, TrainingPlan
from ssd_edge.training.run_folder import STATE_NAME

_AS_BEFORE = Tolerance(max_bad=1.0)  # the plan knows what was learned from
LAST = "last"
"""Stands for the newest run that can go on."""


@contextmanager
def _shared_by_machines() -> Iterator[None]:
    """Say of what a machine lacks that all need it: one of them writes a run's folder, and not the same at each start.

    Raises:
        InputError: as the block raised; where there are several machines it says what they must share.
    """
    try:
        yield
    except InputError as error:
        number, machines = machine_number()
        if machines == 1:
            raise
        raise InputError(
            f"machine {number} of {machines} cannot resume the run",
            got=str(error).rstrip("."),
            wanted="the same data set and the same runs/ on all machines, under the same paths",
            do="Share both between the machines. Start the training on each in the folder that contains runs/.",
        ) from error


@_shared_by_machines()
def interrupted_run(named: str, runs: Path) -> Path:
    """Return the folder of a run that can go on.

    Args:
        named: ``last``, a name in ``runs``, or a folder.
        runs: where the workspace has its runs.

    Raises:
        InputError: there is no such run, or it has no state to go on from.
    """
    if named == LAST:
        states = sorted(runs.glob(f"*/{STATE_NAME}"), key=lambda path: path.stat().st_mtime)
        if not states:
            raise InputError(
                "there is no interrupted run", got=f"no {runs / '*' / STATE_NAME}", wanted="an interrupted run"
            )
        return states[-1].parent
    folder = next((path for path in (runs / named, Path(named)) if path_kind(path) == "folder"), None)
    if folder is None:
        raise InputError(f"there is no run {named!r}", wanted=f"{LAST}, a name in {runs}/, or a folder")
    if not (folder / STATE_NAME).is_file():
        finished = (folder / "last.pt").is_file()
        raise InputError(
            f"{folder} cannot be resumed, as it has no {STATE_NAME}",
            got="a run that is finished" if finished else "a run that has not saved anything yet",
            wanted="an interrupted run",
            do=f"To continue training from its weights, start a new run: --backbone {folder / 'best.pt'}"
            if finished
            else "Start the run again.",
        )
    return folder


@_shared_by_machines()
def saved_run(folder: Path, machine: Machine, dataset: Path | None = None) -> tuple[TrainingPlan, RunState]:
    """Return the plan of an interrupted run, with its images, and its state.

    Args:
        folder: of the run.
        machine: that it goes on with.
        dataset: where its data set is now, which the run's folder names from now on; None for where it was.

    Raises:
        InputError: the run has no plan, or its images are gone or are others.
        ArtifactError: its plan or its state is damaged.
    """
    saved = SavedPlan.load(folder)
    data = _data_of(folder, dataset)
    names = saved.spec.class_names
    train_set = open_dataset(Path(data.dataset), data.train_split, names, tolerance=_AS_BEFORE)
    val_set = open_dataset(Path(data.dataset), data.val_split, names, tolerance=_AS_BEFORE)
    plan, state = saved.with_images(train_set, val_set, machine), RunState.load(folder / STATE_NAME)
    if dataset is not None and is_first_process():
        data.save(folder)
    return plan, state


def _data_of(folder: Path, dataset: Path | None) -> RunData:
    """Return the data set of a run, in its old place or in the one that is given."""
    found, lost = RunData.of(folder), RunData.lost(folder)
    written = found or lost
    if written is None:
        raise InputError(
            f"{folder} does not name its data set",
            got="no readable data.json",
            wanted="an interrupted run",
            do="Start a new run.",
        )
    if dataset is not None:
        return replace(written, dataset=str(dataset.resolve()))
    if lost is not None:
        raise InputError(
            f"the data set of {folder} does not exist any more",
            got=f"nothing at {lost.dataset}",
            wanted="the data set that the run trains on",
            do=f"Put it back, or say where it is now: ssd-edge train DATASET --resume {quoted(folder)}",
        )
    return written
