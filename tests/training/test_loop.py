from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.training.budget import EpochBudget, TimeBudget
from ssd_edge.training.callbacks import Callback
from ssd_edge.training.loader import BatchLoader
from ssd_edge.training.loop import Training
from ssd_edge.training.metrics import EpochRecord
from ssd_edge.training.recipe import Optimization
from ssd_edge.training.run_folder import RunFolder
from tests.training.factories import squares, tiny_model
from tests.training.test_dataset import training_set

OPTIMISATION = Optimization(learning_rate=0.02)


class Remember(Callback):
    """Hands every epoch's record on."""

    def __init__(self, hand_on: Callable[[EpochRecord], object]) -> None:
        self._hand_on = hand_on

    def on_epoch(self, record: EpochRecord) -> None:
        self._hand_on(record)

    def on_step(self, number, loss, learning_rate) -> None:
        assert number > 0


def loader(folder: Path, pictures: int = 16) -> BatchLoader:
    return BatchLoader(training_set(squares(folder, pictures), recipe="none"), batch_size=8, workers=0, seed=0)


def no_validation(model, progress) -> float:
    assert not model.training
    return 0.0


def weights(path: Path):
    return load_checkpoint(path).model.state_dict()


def test_the_loss_falls_and_each_epoch_is_recorded(tmp_path: Path) -> None:
    batches, files, seen = loader(tmp_path / "data"), RunFolder(tmp_path / "run"), []
    epochs = 12
    Training(
        tiny_model(),
        batches,
        no_validation,
        optimisation=OPTIMISATION,
        budget=EpochBudget(epochs, steps_per_epoch=len(batches)),
        files=files,
        callbacks=[Remember(seen.append)],
    ).run()
    assert [record.epoch for record in files.records] == list(range(1, epochs + 1))
    assert seen == files.records
    assert all(record.images == 16 for record in files.records)
    assert files.records[-1].loss < files.records[0].loss / 3
    assert files.records[-1].learning_rate < OPTIMISATION.learning_rate / 20


def test_a_run_of_one_step_learns(tmp_path: Path) -> None:
    batches, model, before, rates = loader(tmp_path / "data", pictures=8), tiny_model(), tiny_model(), []
    Training(
        model,
        batches,
        no_validation,
        optimisation=OPTIMISATION,
        budget=EpochBudget(1, steps_per_epoch=len(batches)),
        files=RunFolder(tmp_path / "run"),
        callbacks=[Remember(lambda record: rates.append(record.learning_rate))],
    ).run()
    assert rates == pytest.approx([OPTIMISATION.learning_rate * 0.5460], rel=1e-3)  # half of the run is done
    for one, other in zip(model.parameters(), before.parameters(), strict=True):
        if one.ndim > 1:
            assert not torch.equal(one, other)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    batches = loader(tmp_path / "data")
    for run in ("first", "second"):
        Training(
            tiny_model(),
            batches,
            no_validation,
            optimisation=OPTIMISATION,
            budget=EpochBudget(2, steps_per_epoch=len(batches)),
            files=RunFolder(tmp_path / run),
        ).run()
    first, second = weights(tmp_path / "first" / "last.pt"), weights(tmp_path / "second" / "last.pt")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_averaged_model_is_validated_and_saved(tmp_path: Path) -> None:
    batches, model, judged = loader(tmp_path / "data"), tiny_model(), []

    def validate(candidate, progress) -> float:
        assert candidate is not model
        judged.append({name: tensor.clone() for name, tensor in candidate.state_dict().items()})
        return 0.1 * len(judged) if len(judged) < 3 else 0.0

    files = RunFolder(tmp_path / "run")
    Training(
        model,
        batches,
        validate,
        optimisation=OPTIMISATION,
        budget=EpochBudget(3, steps_per_epoch=len(batches)),
        files=files,
    ).run()
    best, last = weights(files.best), weights(files.last)
    assert all(torch.equal(judged[1][name], best[name]) for name in best)
    assert all(torch.equal(judged[2][name], last[name]) for name in last)
    assert [record.mean_ap for record in files.records] == pytest.approx([0.1, 0.2, 0.0])


def test_a_time_budget_ends_in_the_middle_of_an_epoch_after_annealing(tmp_path: Path) -> None:
    batches, files = loader(tmp_path / "data", pictures=40), RunFolder(tmp_path / "run")
    seconds = iter(range(10**6))  # each look at the clock takes a second
    Training(
        tiny_model(),
        batches,
        lambda model, progress: 0.5,
        optimisation=OPTIMISATION,
        budget=TimeBudget(14 / 60, clock=lambda: float(next(seconds))),
        files=files,
    ).run()
    assert sum(record.images for record in files.records) % 40
    assert files.records[-1].learning_rate < OPTIMISATION.learning_rate / 5
    assert files.records[-1].mean_ap == 0.5
    assert files.best.exists()


def test_ctrl_c_in_an_epoch_leaves_the_files_of_the_one_before(tmp_path: Path) -> None:
    batches, files = loader(tmp_path / "data"), RunFolder(tmp_path / "run")
    copies: list[bytes] = []

    def remember(record: EpochRecord) -> None:
        copies[:] = [files.last.read_bytes(), files.metrics.read_bytes()]

    def interrupt(done: int, total: int, note: str = "") -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Training(
            tiny_model(),
            batches,
            no_validation,
            optimisation=OPTIMISATION,
            budget=EpochBudget(4, steps_per_epoch=len(batches)),
            files=files,
            callbacks=[Remember(remember)],
            progress=interrupt,
        ).run()
    assert load_checkpoint(files.last).metrics["epoch"] == 2
    assert [files.last.read_bytes(), files.metrics.read_bytes()] == copies
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "best.pt",
        "last.pt",
        "metrics.csv",
        "run.json",
        "state.pt",
    ]
