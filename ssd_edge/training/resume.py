"""``ssd-edge train --resume``: an interrupted run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.run_data import RunData
from ssd_edge.training.config import Machine, SavedPlan, TrainingPlan

if TYPE_CHECKING:
    from ssd_edge.training.run_state import RunState

LAST = "last"
_STATE = "state.pt"
_MAY_CHANGE = frozenset({"resume", "device", "devices", "workers", "cores", "save_minutes", "tensorboard", "report"})


def refuse_other_options(context: typer.Context) -> None:
    """A run goes on as it began: refuse what would make it another run.

    Raises:
        InputError: the user gave an option that a resumed run cannot change.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in _MAY_CHANGE:
            raise InputError(
                "a resumed run goes on as it began",
                got=parameter.opts[0] if parameter.param_type_name == "option" else "a data set",
                wanted="no more than --device, --devices, --workers, --cores and --save-minutes",
                do="Leave it out, or start a new run.",
            )


@contextmanager
def _shared_by_machines() -> Iterator[None]:
    """Say of what a machine lacks that all need it: one of them writes a run's folder, and not the same at each start.

    Raises:
        InputError: as the block raised; where there are several machines it says what they must share.
    """
    try:
        yield
    except InputError as error:
        from ssd_edge.workflows.train import machine_of

        number, machines = machine_of()
        if machines == 1:
            raise
        raise InputError(
            f"machine {number} of {machines} cannot go on with the run",
            got=str(error).rstrip("."),
            wanted="the data set and runs/ of the machine that wrote them, under the same paths",
            do="Share both between the machines, and start each of them in the folder that holds runs/.",
        ) from error


@_shared_by_machines()
def interrupted_run(named: str) -> Path:
    """Return the folder of the run that ``--resume`` names: ``last``, a name in runs/, or a folder.

    Raises:
        InputError: there is no such run, or it has no state to go on from.
    """
    if named == LAST:
        states = sorted(Path("runs").glob(f"*/{_STATE}"), key=lambda path: path.stat().st_mtime)
        if not states:
            raise InputError("no run waits to go on", got=f"no runs/*/{_STATE}", wanted="an interrupted run")
        return states[-1].parent
    folder = next((path for path in (Path("runs") / named, Path(named)) if path_kind(path) == "folder"), None)
    if folder is None:
        raise InputError("there is no such run", got=repr(named), wanted=f"{LAST}, a name in runs/, or a folder")
    if not (folder / _STATE).is_file():
        finished = (folder / "last.pt").is_file()
        raise InputError(
            f"{folder} has no {_STATE} to go on from",
            got="a run that is finished" if finished else "a run that saved nothing yet",
            wanted="an interrupted run",
            do=f"To train on from its weights, start a new run: --backbone {folder / 'best.pt'}"
            if finished
            else "Start it again.",
        )
    return folder


@_shared_by_machines()
def resumed(folder: Path, machine: Machine) -> tuple[TrainingPlan, RunState]:
    """Return the plan of an interrupted run, with its pictures, and its state.

    Raises:
        InputError: the run has no plan, or its pictures are gone or are others.
        ArtefactError: its plan or its state is damaged.
    """
    from ssd_edge.training.run_state import RunState

    return _plan(folder, machine), RunState.load(folder / _STATE)


def _plan(folder: Path, machine: Machine) -> TrainingPlan:
    from ssd_edge.data.find import open_dataset

    saved = SavedPlan.load(folder)
    data = RunData.of(folder)
    if data is None:
        raise InputError(f"the pictures of {folder} are gone", wanted="the data set where it was", do="Put it back.")
    names = saved.spec.class_names
    learnt = open_dataset(Path(data.dataset), data.train_split, names)
    return saved.with_pictures(learnt, open_dataset(Path(data.dataset), data.val_split, names), machine)
