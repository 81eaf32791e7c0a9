"""The figures of a model's training set, or why they are not known."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.run_data import RunData
from ssd_edge.data.statistics import SetStatistics
from ssd_edge.workflows.training_statistics import training_statistics
from tests.data.folders import voc_object, write_voc


def test_they_are_those_of_the_runs_training_set(tmp_path: Path) -> None:
    for stem in "ab":
        write_voc(tmp_path / "data", voc_object(), stem=stem)
    run = tmp_path / "runs/signs"
    run.mkdir(parents=True)
    RunData(str(tmp_path / "data"), "train", "val").save(run)
    for model in (run / "best.pt", tmp_path / "engines/signs.onnx"):
        dataset, found = training_statistics(model, "signs", tmp_path)
        assert dataset == str(tmp_path / "data")
        assert isinstance(found, SetStatistics)
        assert found.images == 2


def test_a_set_that_is_gone_or_cannot_be_read_is_said(tmp_path: Path) -> None:
    run = tmp_path / "runs/signs"
    run.mkdir(parents=True)
    RunData(str(tmp_path / "data"), "train", "val").save(run)
    dataset, why = training_statistics(run / "best.pt", "signs", tmp_path)
    assert dataset == ""
    assert str(why) == f"the training set of signs does not exist any more: {tmp_path / 'data'}"
    (run / "data.json").rename(run / "kept.json")
    dataset, why = training_statistics(run / "best.pt", "signs", tmp_path)
    assert dataset == ""
    assert "the training set of signs is not known here" in str(why)
    (run / "kept.json").rename(run / "data.json")
    (tmp_path / "data").mkdir()
    dataset, why = training_statistics(run / "best.pt", "signs", tmp_path)
    assert dataset == str(tmp_path / "data")
    assert str(why).startswith("the training set cannot be read: ")
