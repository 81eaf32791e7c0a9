"""The same set, written as many tools write it, reads the same; and training starts on each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.find import dataset_splits, open_dataset
from ssd_edge.data.lint.check import lint_dataset
from ssd_edge.workflows.train import train
from tests.data.layouts.makers import NAMES, WITH_SPLITS, WITHOUT_SPLITS, Drawn, Maker, drawn_set


def named(maker: Maker) -> str:
    return maker.__name__


def split_set() -> dict[str, list[Drawn]]:
    images = drawn_set(16)
    return {"train": images[:12], "val": images[12:]}


def check_equal(labelled: LabelledSet, images: list[Drawn]) -> None:
    wanted = {drawn.stem: sorted((NAMES[label], *corners) for label, corners in drawn.objects) for drawn in images}
    found = {
        sample.image.stem: sorted(
            (labelled.class_names[number], *np.round(box, 3).tolist())
            for number, box in zip(sample.class_ids, sample.boxes, strict=True)
        )
        for sample in labelled.samples
    }
    assert len(labelled) == len(images)
    assert found.keys() == wanted.keys()
    for stem, objects in wanted.items():
        assert [entry[0] for entry in found[stem]] == [entry[0] for entry in objects]
        np.testing.assert_allclose([entry[1:] for entry in found[stem]], [entry[1:] for entry in objects], atol=2e-3)


@pytest.mark.parametrize("maker", WITH_SPLITS, ids=named)
def test_splits_read_as_they_were_drawn(tmp_path: Path, maker: Maker) -> None:
    splits = split_set()
    maker(tmp_path, splits)
    assert len(dataset_splits(tmp_path)) == 2
    learned = open_dataset(tmp_path, "train")
    check_equal(learned, splits["train"])
    check_equal(open_dataset(tmp_path, "val", learned.class_names), splits["val"])
    assert learned.class_names == NAMES
    issues = lint_dataset(tmp_path).issues
    assert [str(issue.message) for issue in issues if issue.kind not in ("leakage-near",)] == []


@pytest.mark.parametrize("maker", WITHOUT_SPLITS, ids=named)
def test_sets_without_splits_read_as_they_were_drawn(tmp_path: Path, maker: Maker) -> None:
    splits = split_set()
    maker(tmp_path, splits)
    (split,) = dataset_splits(tmp_path)
    labelled = open_dataset(tmp_path, split)
    check_equal(labelled, [*splits["train"], *splits["val"]])
    assert labelled.class_names == NAMES
    assert [issue.message for issue in lint_dataset(tmp_path).issues] == []


EVERY = (*WITH_SPLITS, *WITHOUT_SPLITS)
QUICK = ("kaggle", "ultralytics", "tensorflow_csv")


def _trains(tmp_path: Path, maker: Maker) -> None:
    maker(tmp_path / "data", split_set())
    settings = {"preset": "ssd192-tiny", "input_size": 64, "epochs": 1, "batch_size": 8, "workers": 0}
    result = train(
        tmp_path / "data", workspace=tmp_path, precision="float32", tensorboard=False, report=False, **settings
    )
    assert result.left_out == ()
    assert result.epochs[-1].loss > 0
    assert result.path.is_file()


@pytest.mark.parametrize("maker", [maker for maker in EVERY if named(maker) in QUICK], ids=named)
def test_training_starts_splits_and_learns(tmp_path: Path, maker: Maker) -> None:
    _trains(tmp_path, maker)


@pytest.mark.slow
@pytest.mark.parametrize("maker", [maker for maker in EVERY if named(maker) not in QUICK][::2], ids=named)
def test_training_starts_on_every_other_layout(tmp_path: Path, maker: Maker) -> None:
    _trains(tmp_path, maker)
