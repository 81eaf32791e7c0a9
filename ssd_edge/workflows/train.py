"""Training as one function: from labelled images to ``runs/<name>/best.pt``. PyTorch is imported by the call only."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.progress import ProgressCallback, no_progress
from ssd_edge.core.requirements import require_training
from ssd_edge.core.resources import with_named_resources
from ssd_edge.training.callbacks import Callback
from ssd_edge.workflows.train_config import TrainConfig, TrainOptions, TrainResult


@with_named_resources
def train(
    dataset: AnyPath | None = None,
    *,
    config: TrainConfig | None = None,
    callbacks: Sequence[Callback] = (),
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[TrainOptions],
) -> TrainResult:
    """Train a network on labelled images, or go on with an interrupted run.

    Whatever ends it early, also KeyboardInterrupt, the last whole epoch and the last saved state stay in
    ``runs/<name>``, and ``train(resume=name)`` goes on from there, on a CPU to the same bits.

    Args:
        dataset: folder or data.yaml of labelled images: VOC, COCO or YOLO; with ``resume``
            only where its place has changed.
        config: all options; or pass its fields by keyword.
        callbacks: receives each step and epoch; see :class:`ssd_edge.training.callbacks.Callback`.
        progress: receives the stages ``checking``, ``training``, ``choosing candidates`` and ``evaluating best.pt``.
        workspace: folder that holds ``runs/``.
        options: the fields of :class:`TrainConfig`.

    Raises:
        InputError: an option, the data set, a label or a folder cannot be used, or there is no such run to go on with.
        ArtifactError: a file of the run that goes on, or the priors, are damaged.
        MissingPackageError: PyTorch, torchvision or Lightning Fabric is not installed.
        TrainingError: training cannot go on: its loss is not finite, or a data worker or another process died.
    """
    config = config_from(TrainConfig, config, options)
    require_training()
    from ssd_edge.workflows.training_run import run_training  # loads torch

    return run_training(dataset, config, progress=progress, workspace=workspace, callbacks=callbacks)
