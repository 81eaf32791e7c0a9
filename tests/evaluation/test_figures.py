from __future__ import annotations

import sys
import warnings

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.evaluation.figures import save_panels, save_precision_recall, save_stills, shortened
from ssd_edge.evaluation.mean_ap import ClassAp
from ssd_edge.evaluation.report_content import Still
from ssd_edge.evaluation.stills import MISSED, RIGHT, WRONG
from ssd_edge.training.metrics import EpochRecord
from ssd_edge.workflows.training_report import best_record, learning_curves

BLUE, AMBER, BLACK = (235, 99, 37), (11, 158, 245), (39, 24, 17)  # BGR


def epochs(count: int) -> list[EpochRecord]:
    return [
        EpochRecord(n, 10, n * 2.0, 5.0, 0.01 / n, 6 / n, 2 / n, 4 / n, n / count if n % 2 == count % 2 else None)
        for n in range(1, count + 1)
    ]


def class_ap(name: str, points: int = 30) -> ClassAp:
    recall = np.linspace(1 / 30, 1, points)
    return ClassAp(name, 0.5, 7, 0, np.linspace(1, 0, points).astype(np.float32), 1 - recall / 2, recall)


def count(image: np.ndarray, color: tuple[int, int, int]) -> int:
    return int(np.count_nonzero((np.abs(image.astype(int) - color) <= 2).all(axis=2)))


@pytest.mark.parametrize("number", [1, 2, 300])
def test_the_curves_of_a_run_are_drawn_in_their_colours(tmp_path, number):
    save_panels(tmp_path / "curves.png", "Training of $a", learning_curves(epochs(number)))
    image = cv2.imread(str(tmp_path / "curves.png"))
    assert image.shape[1] == 1430
    assert all(count(image, color) > 20 for color in (BLUE, AMBER, BLACK))
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


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
    assert best_record(records).epoch == 4
    assert best_record(records[:1]) is None
    assert len(learning_curves(records[:1])) == 3


@pytest.mark.parametrize(("classes", "columns"), [(1, 1), (3, 3), (4, 3), (20, 5), (40, 5)])
def test_each_class_has_its_chart(tmp_path, classes, columns):
    curves = [class_ap(f"class {n}") for n in range(classes)]
    save_precision_recall(tmp_path / "pr.png", "run", curves)
    image = cv2.imread(str(tmp_path / "pr.png"))
    assert image.shape[1] == pytest.approx(130 * max(4.4, 2.3 * columns + 0.3), abs=1)
    blobs, _ = cv2.connectedComponents((np.abs(image.astype(int) - BLUE) <= 60).all(axis=2).astype(np.uint8))
    assert blobs - 1 == classes


def test_a_class_without_detections_and_odd_names_are_drawn(tmp_path):
    curves = [class_ap("$x^2", 0), class_ap("名前"), class_ap("two\nlines")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_precision_recall(tmp_path / "pr.png", "a_$b_{c", curves)
    assert count(cv2.imread(str(tmp_path / "pr.png")), BLUE) > 100


def test_pictures_stand_in_rows_with_the_key_of_their_colours(tmp_path):
    red, green = (40, 30, 200), (30, 160, 20)
    stills = [Still(np.full((30, 40, 3), color, np.uint8), "name", "1 missed") for color in (red, green)]
    save_stills(tmp_path / "d.png", [("Most", stills[:1]), ("Fewest", stills[1:])])
    image = cv2.imread(str(tmp_path / "d.png"))
    rows = [np.flatnonzero((np.abs(image.astype(int) - color) <= 2).all(axis=2).any(axis=1)) for color in (red, green)]
    assert rows[0].max() < rows[1].min()
    assert all(count(image, color) > 50 for color in (RIGHT, WRONG, MISSED))


@pytest.mark.parametrize(
    ("name", "shown"), [("short", "short"), ("a" * 13 + "b" * 14, "a" * 13 + "…" + "b" * 12), ("a$b\nc", r"a\$b c")]
)
def test_long_names_lose_their_middle(name, shown):
    assert shortened(name) == shown


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match=r"curves.png needs matplotlib.*pip install matplotlib"):
        save_panels(tmp_path / "curves.png", "run", learning_curves(epochs(2)))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_panels(tmp_path / "file" / "curves.png", "run", learning_curves(epochs(2)))
