"""One training run from its plan to its report: who is told, and what is said when it ends or is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar, quoted, say
from ssd_edge.cli.resume import resumed
from ssd_edge.cli.run_lock import only_training
from ssd_edge.cli.training_plan import Machine, TrainingPlan
from ssd_edge.cli.training_report import report_on
from ssd_edge.cli.training_run import is_first_process, run_training
from ssd_edge.core.errors import SsdEdgeError

if TYPE_CHECKING:
    from ssd_edge.training.journal import EpochRecord
    from ssd_edge.training.state import RunState
    from ssd_edge.training.step import StepLoss
    from ssd_edge.training.watch import Observer


class SayEpochs:
    """Prints an epoch's loss, accuracy and speed."""

    def step(self, number: int, loss: StepLoss, learning_rate: float) -> None:
        """Say nothing: the bar shows it."""

    def epoch(self, record: EpochRecord) -> None:
        """Print a line."""
        accuracy = "" if record.mean_ap is None else f", mAP@0.5 {record.mean_ap:.4f}"
        say(
            f"epoch {record.epoch}: loss {record.loss:.3f} (boxes {record.localisation_loss:.3f}, classes "
            f"{record.confidence_loss:.3f}){accuracy}, {record.images_per_s:.0f} images/s, {record.seconds:.0f} s"
        )


def resume_run(folder: Path, machine: Machine, *, tensorboard: bool, report: bool) -> None:
    """Go on with an interrupted run.

    Raises:
        SsdEdgeError: its plan, state or pictures cannot be used, or training cannot go on.
    """
    with only_training(folder) if is_first_process() else nullcontext():
        plan, state = resumed(folder, machine)
        say(f"going on with {folder} in epoch {state.epoch}, after {state.batches} batches of it")
        train_plan(plan, state, tensorboard=tensorboard, report=report)


def train_plan(plan: TrainingPlan, state: RunState | None = None, *, tensorboard: bool, report: bool) -> None:
    """Train, say what came of it, and write the report.

    Raises:
        SsdEdgeError: a picture, label or folder cannot be used, or training cannot go on.
    """
    try:
        with _observers(plan, state, tensorboard=tensorboard) as observers, bar("training") as progress:
            files = run_training(plan, observers=observers, progress=progress, state=state)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        say("; ".join(_kept(plan.folder)) or "stopped before the first state was saved: nothing is kept")
        raise
    except SsdEdgeError:
        for left in _kept(plan.folder):
            say(left)
        raise
    say(f"{files.best}: mAP@0.5 {files.best_mean_ap or 0:.4f}; every epoch is in {files.metrics}")
    if report and is_first_process():
        report_on(plan.folder, plan.judged, cores=plan.machine.cores)
    say(f"next: ssd-edge export {quoted(files.best)}")


@contextmanager
def _observers(plan: TrainingPlan, state: RunState | None, *, tensorboard: bool) -> Iterator[list[Observer]]:
    """Yield who is told of steps and epochs: the terminal, and TensorBoard where it is installed."""
    from ssd_edge.training.tensorboard import TensorBoardLog

    said = SayEpochs()
    if not tensorboard or not is_first_process():
        yield [said]
    elif not TensorBoardLog.available():
        say("no curves for TensorBoard, which is not installed: pip install tensorboard")
        yield [said]
    else:
        steps = state.average_updates if state else 0
        with TensorBoardLog(plan.folder / "tensorboard", steps_before=steps) as log:
            yield [said, log]


def _kept(folder: Path) -> Iterator[str]:
    """Yield what a stopped run left behind, in words."""
    if (folder / "state.pt").is_file():
        yield f"to go on: ssd-edge train --resume {quoted(folder)}"
    if (folder / "last.pt").is_file():
        yield f"{folder / 'last.pt'} holds the last whole epoch"
