from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.training.metrics import EpochRecord, StepLoss
from ssd_edge.training.tensorboard import TensorBoardLog


def record(epoch: int, *, mean_ap: float | None = 0.25) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        images=16,
        seconds=9.0,
        images_per_s=40.0,
        learning_rate=0.01,
        loss=3.5 / epoch,
        localisation_loss=1.0,
        confidence_loss=2.5,
        mean_ap=mean_ap,
    )


def as_of_an_earlier_process(folder: Path) -> None:
    """Put the time in the files' names back: TensorBoard reads by name, and files of one second in any order."""
    for path in folder.iterdir():
        parts = path.name.split(".")
        parts[3] = str(int(parts[3]) - 100)
        path.rename(folder / ".".join(parts))


def read_back(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself shows: step and value of each tag."""
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, pytest.approx(e.value)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_shows_each_step_and_each_epoch_at_its_last_step(tmp_path: Path) -> None:
    with TensorBoardLog(tmp_path / "run" / "tensorboard") as log:
        log.on_step(1, StepLoss(1.0, 2.5), 0.01)
        log.on_step(2, StepLoss(0.5, 2.0), 0.02)
        log.on_epoch(record(1))
        log.on_step(3, StepLoss(0.25, 1.0), 0.01)
        log.on_epoch(record(2, mean_ap=None))
    assert read_back(tmp_path / "run" / "tensorboard") == {
        "loss/localisation": [(1, 1.0), (2, 0.5), (3, 0.25)],
        "loss/confidence": [(1, 2.5), (2, 2.0), (3, 1.0)],
        "loss/total": [(1, 3.5), (2, 2.5), (3, 1.25)],
        "learning_rate": [(1, 0.01), (2, 0.02), (3, 0.01)],
        "epoch/loss": [(2, 3.5), (3, 1.75)],
        "epoch/mean_ap": [(2, 0.25)],
        "epoch/images_per_s": [(2, 40.0), (3, 40.0)],
    }


def test_a_run_that_goes_on_hides_the_steps_that_it_makes_again(tmp_path: Path) -> None:
    with TensorBoardLog(tmp_path) as log:
        for number in (1, 2, 3):
            log.on_step(number, StepLoss(1.0, float(number)), 0.01)
        log.on_epoch(record(1))
    as_of_an_earlier_process(tmp_path)
    with TensorBoardLog(tmp_path, steps_before=2) as log:
        log.on_step(3, StepLoss(1.0, 30.0), 0.01)
        log.on_epoch(record(1, mean_ap=0.5))
    shown = read_back(tmp_path)
    assert shown["loss/confidence"] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert shown["epoch/mean_ap"] == [(3, 0.5)]
    as_of_an_earlier_process(tmp_path)
    with TensorBoardLog(tmp_path, steps_before=0) as log:  # killed before it saved anything
        log.on_step(1, StepLoss(1.0, 4.0), 0.01)
    assert read_back(tmp_path)["loss/confidence"] == [(1, 4.0)]


def test_an_epoch_is_on_the_disk_when_it_is_over(tmp_path: Path) -> None:
    log = TensorBoardLog(tmp_path)
    log.on_step(1, StepLoss(1.0, 2.0), 0.01)
    log.on_epoch(record(1))
    assert read_back(tmp_path)["epoch/loss"] == [(1, 3.5)]
    log.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file cannot be written"):
        TensorBoardLog(tmp_path / "file")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with TensorBoardLog(tmp_path / "log") as log:
        monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", full)
        with pytest.raises(InputError, match=r"log cannot be written .No space left on device.. Free some space"):
            log.on_step(1, StepLoss(1.0, 2.0), 0.01)


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TensorBoardLog.available()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert not TensorBoardLog.available()
    with pytest.raises(MissingPackageError, match="pip install tensorboard"):
        TensorBoardLog(tmp_path)


def test_a_record_that_a_kill_cut_off_does_not_hide_what_follows(tmp_path: Path) -> None:
    with TensorBoardLog(tmp_path) as log:
        for number in (1, 2, 3):
            log.on_step(number, StepLoss(1.0, float(number)), 0.01)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-10])
    as_of_an_earlier_process(tmp_path)
    with TensorBoardLog(tmp_path, steps_before=2) as log:
        log.on_step(3, StepLoss(1.0, 30.0), 0.02)
    shown = read_back(tmp_path)
    assert shown["loss/confidence"] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert shown["learning_rate"] == [(1, 0.01), (2, 0.01), (3, 0.02)]
