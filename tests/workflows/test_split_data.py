from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import ssd_edge as ssd
from ssd_edge.cli.app import app
from ssd_edge.core.errors import InputError
from ssd_edge.data.find import open_dataset
from tests.cli.test_train import write_data
from tests.data.folders import voc_object, write_voc
from tests.data.test_split import scene, written


def test_the_lists_are_splits_and_texts(tmp_path: Path) -> None:
    write_data(tmp_path / "photos", splits={"train": 20})
    made = ssd.split_data(tmp_path / "photos", val_fraction=0.25, test_fraction=0.25, seed=2, workspace=tmp_path)
    assert made.path == tmp_path / "splits" / "photos" / "split.json"
    assert made.images == {"train": 10, "val": 5, "test": 5}
    for part, listed in made.lists.items():
        names = listed.read_text().splitlines()
        opened = open_dataset(tmp_path / "photos", f"{made.path}:{part}")
        assert sorted(tmp_path / "photos" / name for name in names) == sorted(one.image for one in opened.samples)
    again = ssd.split_data(tmp_path / "photos", val_fraction=0.25, test_fraction=0.25, seed=2, output=tmp_path / "b")
    assert again.path.read_text() == made.path.read_text()


def test_the_command_names_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data(tmp_path / "photos", splits={"train": 10})
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["data", "split", "photos", "--output", "lists"])
    assert result.exit_code == 0, result.stderr
    assert "8 train, 2 val; " in result.stderr
    assert "ssd-edge train photos --train-split lists/split.json:train" in result.stderr


def test_the_command_says_what_could_not_be_kept_apart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number in range(16):
        write_voc(data, voc_object("cat") + (voc_object("dog") if number == 0 else ""), stem=f"f{number}")
        written(data / "JPEGImages", f"f{number}.jpg", cv2.resize(np.roll(scene(5), number // 4, axis=1), (100, 80)))
    result = CliRunner().invoke(app, ["data", "split", str(data), "--output", str(tmp_path / "lists")])
    assert result.exit_code == 0, result.stderr
    assert "16 images show scenes that were too large for one part" in result.stderr
    assert "not in the validation set: dog" in result.stderr


def test_something_must_be_left_to_learn_from() -> None:
    with pytest.raises(InputError, match="leave too little to train on"):
        ssd.SplitDataConfig(val_fraction=0.5, test_fraction=0.5)
