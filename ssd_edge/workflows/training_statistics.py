"""The figures of the training set of a model, where its run is in the workspace."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.run_data import RunData
from ssd_edge.data.statistics import SetStatistics
from ssd_edge.workflows.data_statistics import data_statistics


def training_statistics(model: Path, name: str, workspace: Path) -> tuple[str, SetStatistics | str]:
    """Return the training set of a model and its figures, or why they are not known.

    Args:
        model: the file; the run of a checkpoint is its folder.
        name: of the model; the run of another form of it is ``runs/<name>``.
        workspace: with ``runs/``.
    """
    run = model.parent if model.suffix == ".pt" else workspace / "runs" / name
    data = RunData.of(run)
    if data is None and (lost := RunData.lost(run)) is not None:
        return "", f"the training set of {name} does not exist any more: {lost.dataset}"
    if data is None:
        return "", f"the training set of {name} is not known here: {run} does not name one that is there"
    try:
        found = data_statistics(data.dataset, splits=(data.train_split,))
    except SsdEdgeError as error:
        return data.dataset, f"the training set cannot be read: {error}"
    return data.dataset, found.splits[data.train_split]
