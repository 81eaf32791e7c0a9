"""Where a data set has no validation set: one is set aside, kept with the run, and evaluated on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ssd_edge.core.errors import InputError
from ssd_edge.core.run_data import RunData
from ssd_edge.data.find import open_dataset
from ssd_edge.workflows.evaluate import evaluate
from ssd_edge.workflows.train import train
from ssd_edge.workflows.train_config import TrainConfig
from ssd_edge.workflows.training_splits import training_splits
from tests.cli.test_train import write_data
from tests.data.folders import voc_object, write_voc
from tests.data.test_split import scene, written
from tests.training.conftest import one_thread  # noqa: F401  (a fixture)
from tests.workflows.test_train import FAST, Stop, weights


def test_it_is_set_aside_kept_and_evaluated_on_and_a_run_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "data", splits={"train": 24})
    before = sorted(path for path in (tmp_path / "data").rglob("*"))
    options = {**FAST, "epochs": 2, "seed": 3}
    whole = train("data", name="whole", **options)
    assert sorted(path for path in (tmp_path / "data").rglob("*")) == before
    lists = json.loads(Path("runs/whole/split.json").read_text())["parts"]
    assert (len(lists["train"]), len(lists["val"])) == (19, 5)
    assert all((tmp_path / "data" / name).is_file() for part in lists.values() for name in part)
    data = RunData.of(Path("runs/whole"))
    assert data is not None
    assert (data.train_split, data.val_split) == ("runs/whole/split.json:train", "runs/whole/split.json:val")

    with pytest.raises(KeyboardInterrupt):
        train("data", name="cut", callbacks=[Stop(3)], **options)
    shutil.move("runs", "elsewhere")  # its list goes with it
    resumed = train(resume="elsewhere/cut")
    assert [record.mean_ap for record in resumed.epochs] == [record.mean_ap for record in whole.epochs]
    for name, value in weights(Path("elsewhere/whole/last.pt")).items():
        assert torch.equal(value, weights(resumed.last)[name])

    found = evaluate(resumed.path, "data")
    assert {sample.image.name for sample in found.labelled.samples} == {Path(name).name for name in lists["val"]}
    assert found.models[0].evaluation.accuracy.mean_ap == pytest.approx(resumed.mean_ap)
    with pytest.raises(InputError, match="was trained on 19 of these 24"):
        evaluate(resumed.path, "data", split="train")


def chosen(dataset: Path, tmp_path: Path, **options) -> tuple[str, str]:
    return training_splits(dataset, TrainConfig(**options), tmp_path / "run", lambda event: None)


def test_what_is_there_or_named_is_taken_as_it_is(tmp_path: Path) -> None:
    write_data(tmp_path / "both", splits={"train": 4, "val": 2})
    assert chosen(tmp_path / "both", tmp_path) == ("train", "val")
    assert chosen(tmp_path / "both", tmp_path, train_split="val") == ("val", "val")
    assert chosen(tmp_path / "both", tmp_path, val_split="train") == ("train", "train")
    assert chosen(tmp_path / "both", tmp_path, train_split="x/split.json:train") == (
        "x/split.json:train",
        "x/split.json:val",
    )
    assert not (tmp_path / "run").exists()
    write_data(tmp_path / "one", splits={"photos": 8})
    train_split, val_split = chosen(tmp_path / "one", tmp_path, val_fraction=0.5)
    assert len(open_dataset(tmp_path / "one", val_split)) == 4
    assert len(open_dataset(tmp_path / "one", train_split)) == 4


def test_two_that_are_named_are_taken_unseen(tmp_path: Path) -> None:
    assert chosen(tmp_path / "absent", tmp_path, train_split="a", val_split="b") == ("a", "b")


def test_scenes_on_both_sides_and_classes_on_one_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data"
    for number in range(16):
        write_voc(data, voc_object("cat") + (voc_object("dog") if number == 0 else ""), stem=f"f{number}")
        written(data / "JPEGImages", f"f{number}.jpg", cv2.resize(np.roll(scene(5), number // 4, axis=1), (100, 80)))
    with caplog.at_level("INFO", logger="ssd_edge"):
        chosen(data, tmp_path, val_fraction=0.25)
    assert "4 of the 16 images of split train are set aside for validation" in caplog.text
    assert "16 images show scenes that are divided between both sets" in caplog.text
    assert "not in the validation set, as too few scenes show them: dog" in caplog.text
    write_data(tmp_path / "whole", splits={"train": 24})
    caplog.clear()
    chosen(tmp_path / "whole", tmp_path)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_an_explicit_split_that_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    write_data(tmp_path / "data", splits={"train": 4})
    with pytest.raises(InputError, match="no data set split 'val'"):
        train(tmp_path / "data", val_split="val", workspace=tmp_path, **FAST)
