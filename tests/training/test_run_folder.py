from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from ssd_edge.core.errors import InputError
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.training.metrics import EpochRecord, best_epoch
from ssd_edge.training.run_folder import RunFolder
from tests.training.factories import tiny_model


def record(epoch: int, mean_ap: float | None) -> EpochRecord:
    return EpochRecord(epoch, 16, 1.5 * epoch, 100.0, 0.01, 3.0, 1.0, 2.0, mean_ap)


def test_best_is_the_epoch_with_the_highest_mean_ap_and_last_the_last(tmp_path: Path) -> None:
    files = RunFolder(tmp_path / "run")
    models = [tiny_model(seed) for seed in range(4)]
    for epoch, (model, mean_ap) in enumerate(zip(models, (0.1, 0.5, None, 0.3), strict=True), start=1):
        files.keep(model, record(epoch, mean_ap))
    best, last = load_checkpoint(files.best), load_checkpoint(files.last)
    assert best.metrics == {"epoch": 2.0, "loss": 3.0, "mean_ap": 0.5}
    assert last.metrics["epoch"] == 4
    assert files.best_mean_ap == 0.5
    for loaded, model in ((best, models[1]), (last, models[3])):
        assert all(torch.equal(loaded.model.state_dict()[k], v) for k, v in model.state_dict().items())


def test_of_equals_the_latest_is_best_and_patience_counts_them(tmp_path: Path) -> None:
    files = RunFolder(tmp_path)
    for epoch, mean_ap in enumerate((0.0, 0.0, 0.5, 0.5, 0.4, 0.5), start=1):
        files.keep(tiny_model(), record(epoch, mean_ap))
    assert load_checkpoint(files.best).metrics["epoch"] == 6
    assert (files.best_mean_ap, files.since_best) == (0.5, 3)
    assert best_epoch(files.records) == files.records[-1]


def test_metrics_csv_has_a_line_an_epoch(tmp_path: Path) -> None:
    files = RunFolder(tmp_path)
    files.keep(tiny_model(), record(1, None))
    files.keep(tiny_model(), record(2, 0.25))
    with files.metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["mean_ap"] for row in rows] == ["", "0.25"]
    assert rows[1]["seconds"] == "3"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt", "metrics.csv", "run.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"file/run cannot be written"):
        RunFolder(tmp_path / "file" / "run")
