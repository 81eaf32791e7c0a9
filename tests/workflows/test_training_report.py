from __future__ import annotations

import re
import sys
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.errors import InputError
from ssd_edge.data.find import open_dataset
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.training.metrics import EpochRecord, best_epoch
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.workflows.training_report import learning_curves, write_training_report
from tests.cli.test_train import FAST, write_data
from tests.evaluation.test_report import Page
from tests.training.factories import CLASS_NAMES, tiny_model

PNGS = ["curves.png", "pr_curves.png", "detections.png"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_data(tmp_path / "data", splits={"train": 16, "val": 3})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ssd_edge.backends.cpu.physical_cores", lambda: 1)
    return tmp_path


@pytest.fixture
def run(workspace: Path) -> Path:
    files = RunFolder(workspace / "runs" / "squares")
    for epoch, mean_ap in ((1, 0.25), (2, 0.5), (3, 0.125)):
        files.keep(
            tiny_model(), EpochRecord(epoch, 16, 3700.0 * epoch, 8.0, 0.01, 4.0 / epoch, 1.0, 4.0 / epoch - 1, mean_ap)
        )
    return workspace / "runs" / "squares"


def train(*options: str):
    return CliRunner().invoke(app, ["train", "data", *FAST, "--epochs", "1", "--name", "r", *options])


def test_a_run_leaves_a_page_and_pictures(run: Path) -> None:
    judged = open_dataset(Path("data"), "val")
    written = write_training_report(run, judged)
    assert written == [run / name for name in ("report.html", *PNGS)]
    assert all(cv2.imread(str(run / name)) is not None for name in PNGS)
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "Training of squares" in page.text
    assert "epoch 2 of 3" in page.text
    assert "3 h 5 min" in page.text
    assert "48 images trained on" in page.text
    assert "best 0.500, epoch 2" in page.text
    assert {"blue", "green", "red"} <= {row[0] for row in page.cells}
    for heading in ("Learning", "A score threshold for each class", "Errors by kind", "Detections and objects"):
        assert heading in page.text
    sources = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(sources) == 3  # each image once, though it could be among the worst and the best
    assert all(source.startswith("data:image/jpeg;") for source in sources)
    assert not re.search(r'(src|href)="(?!data:)', (run / "report.html").read_text(encoding="utf-8"))


def test_train_ends_with_the_report(workspace: Path) -> None:
    result = train()
    assert result.exit_code == 0, result.stderr
    assert "report: runs/r/report.html and curves.png, pr_curves.png, detections.png" in result.stderr
    assert result.stderr.endswith("next: ssd-edge export runs/r/best.pt\n")
    assert (workspace / "runs/r/report.html").is_file()


def test_no_report_is_written_where_none_is_wanted(workspace: Path) -> None:
    result = train("--no-report")
    assert result.exit_code == 0, result.stderr
    assert "report" not in result.stderr
    assert not {"report.html", *PNGS} & {path.name for path in (workspace / "runs/r").iterdir()}


def test_without_matplotlib_the_page_is_there_all_the_same(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = train()
    assert result.exit_code == 0, result.stderr
    assert "report: runs/r/report.html, without images: curves.png needs matplotlib" in result.stderr
    assert "pip install matplotlib" in result.stderr
    assert (workspace / "runs/r/report.html").is_file()


def test_a_report_that_fails_does_not_lose_the_run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_):
        raise InputError("curves.png cannot be written (No space left on device)")

    monkeypatch.setattr("ssd_edge.workflows.training_report.save_charts", full)
    result = train()
    assert result.exit_code == 1
    assert (
        "the checkpoints and metrics.csv in runs/r are complete; only the report could not be written" in result.stderr
    )
    assert "curves.png cannot be written (No space left on device)" in result.stderr
    assert {"best.pt", "last.pt", "metrics.csv"} <= {path.name for path in (workspace / "runs/r").iterdir()}


def test_a_run_without_a_best_checkpoint_is_named(run: Path) -> None:
    (run / "best.pt").unlink()
    with pytest.raises(InputError, match=r"best.pt does not exist"):
        write_training_report(run, open_dataset(Path("data"), "val", CLASS_NAMES))


def test_a_foreign_checkpoint_is_not_judged(run: Path) -> None:
    model = tiny_model()
    save_checkpoint(run / "best.pt", model, {})
    with pytest.raises(InputError, match="the model does not have the classes 'mauve'"):
        write_training_report(run, open_dataset(Path("data"), "val", (*CLASS_NAMES, "mauve")))


def epochs(count: int) -> list[EpochRecord]:
    return [
        EpochRecord(n, 10, n * 2.0, 5.0, 0.01 / n, 6 / n, 2 / n, 4 / n, n / count if n % 2 == count % 2 else None)
        for n in range(1, count + 1)
    ]


def test_the_loss_and_its_parts_and_the_best_epoch_are_in_the_panels():
    loss, accuracy, rate, speed = learning_curves(epochs(4))
    assert [(series.label, series.y) for series in loss.series] == [
        ("total", (6, 3, 2, 1.5)),
        ("boxes", (2, 1, 2 / 3, 0.5)),
        ("classes", (4, 2, 4 / 3, 1)),
    ]
    assert (accuracy.series[0].x, accuracy.series[0].y) == ((2, 4), (0.5, 1))
    assert (accuracy.mark, accuracy.top) == ((4, 1.0), 1.0)
    assert accuracy.caption == "mAP@0.5 of the validation images: best 1.000, epoch 4"
    assert rate.series[0].y == (0.01, 0.005, 0.01 / 3, 0.0025)
    assert speed.series[0].y == (5, 5, 5, 5)


def test_the_last_of_equal_epochs_is_the_best_and_without_validation_there_is_none():
    records = [EpochRecord(n, 1, 1.0, 1.0, 0.1, 1.0, 0.5, 0.5, ap) for n, ap in enumerate((None, 0.0, 0.3, 0.3), 1)]
    assert best_epoch(records).epoch == 4
    assert best_epoch(records[:1]) is None
    assert len(learning_curves(records[:1])) == 3
