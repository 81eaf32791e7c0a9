"""Curves of a run for TensorBoard, beside its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from ssd_edge.core.errors import InputError, MissingPackageError, write_remedy
from ssd_edge.core.files import make_folder
from ssd_edge.training.callbacks import Callback
from ssd_edge.training.metrics import EpochRecord, StepLoss


class TensorBoardLog(Callback):
    """Writes losses and learning rate of each step, and what each epoch came to, over the number of steps.

    Args:
        folder: made where it is missing; a run that goes on takes its old one.
        steps_before: of a run that goes on, the steps that are done. What its folder says of later ones is hidden, as
            they are made again.

    Raises:
        MissingPackageError: tensorboard is not installed.
        InputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, steps_before: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingPackageError(
                "TensorBoard is not installed", got=str(error), do="Install it: pip install tensorboard"
            ) from error
        make_folder(folder)
        self._folder, self._step = folder, steps_before
        with self._written():
            self._writer = SummaryWriter(str(folder), purge_step=steps_before + 1)

    @staticmethod
    def available() -> bool:
        """Whether the package is installed."""
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            return False
        return True

    def on_step(self, number: int, loss: StepLoss, learning_rate: float) -> None:
        """Write a step; ``number`` counts the run's steps from 1.

        Raises:
            InputError: the folder cannot be written any more.
        """
        self._step = number
        self._write(
            {
                "loss/localisation": loss.localisation,
                "loss/confidence": loss.confidence,
                "loss/total": loss.total,
                "learning_rate": learning_rate,
            }
        )

    def on_epoch(self, record: EpochRecord) -> None:
        """Write an epoch's means at its last step; no mean AP where it was not validated.

        Raises:
            InputError: the folder cannot be written any more.
        """
        known = {"epoch/loss": record.loss, "epoch/mean_ap": record.mean_ap, "epoch/images_per_s": record.images_per_s}
        self._write({tag: value for tag, value in known.items() if value is not None})
        with self._written():
            self._writer.flush()

    def close(self) -> None:
        """Write what is waiting and close the file.

        Raises:
            InputError: the folder cannot be written any more.
        """
        with self._written():
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, values: dict[str, float]) -> None:
        with self._written():
            for tag, value in values.items():
                self._writer.add_scalar(tag, value, self._step)

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Name the folder where writing fails; the writer's thread hands its error to the next call."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._folder} cannot be written ({error.strerror or error})",
                do=write_remedy(error, "train with --no-tensorboard"),
            ) from error
