"""What a run trained on, as its folder says it; data that are gone, or never can have been, are None."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from ssd_edge.core.run_data import RunData


def test_a_folder_or_a_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data.yaml").touch()
    for name in ("data", "data.yaml"):
        wanted = RunData(str(tmp_path / name), "train", "val")
        wanted.save(tmp_path)
        assert RunData.of(tmp_path) == wanted


@pytest.mark.parametrize("dataset", ["gone", "x" * 300, "y/" * 3000, "a\0b"])
def test_data_that_are_gone_are_none(tmp_path: Path, dataset: str) -> None:
    RunData(str(tmp_path / dataset), "train", "val").save(tmp_path)
    assert RunData.of(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", '{"dataset": 1}', "[" * 100_000])
def test_a_damaged_file_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.json").write_text(text)
    assert RunData.of(tmp_path) is None


@pytest.mark.parametrize("moved", ["rename", "copy"])
def test_data_in_the_workspace_are_found_again_after_it_was_moved(tmp_path: Path, moved: str) -> None:
    workspace, after = tmp_path / "before", tmp_path / "after"
    run = workspace / "runs/signs"
    (workspace / "data/signs").mkdir(parents=True)
    run.mkdir(parents=True)
    splits = [f"{run / 'split.json'}:train", f"{workspace / 'data/lists.json'}:val"]
    RunData(str(workspace / "data/signs"), *splits).save(run)
    assert RunData.of(run) == RunData(str(workspace / "data/signs"), *splits)
    if moved == "rename":
        workspace.rename(after)
    else:
        shutil.copytree(workspace, after)
    wanted = RunData(
        str(after / "data/signs"), f"{after / 'runs/signs/split.json'}:train", f"{after / 'data/lists.json'}:val"
    )
    assert RunData.of(after / "runs/signs") == wanted
    assert RunData.lost(after / "runs/signs") is None
    (after / "data/signs").rmdir()
    if moved == "rename":
        assert RunData.lost(after / "runs/signs") == wanted
    else:  # the original is still in its place
        found = RunData.of(after / "runs/signs")
        assert found is not None
        assert found.dataset == str(workspace / "data/signs")


def test_data_outside_of_the_workspace_and_files_of_older_versions_name_their_old_place(tmp_path: Path) -> None:
    run = tmp_path / "workspace/runs/signs"
    run.mkdir(parents=True)
    assert RunData.lost(run) is None
    wanted = RunData(str(tmp_path / "data"), "train", f"{tmp_path / 'lists.json'}:val")
    wanted.save(run)
    assert json.loads((run / "data.json").read_text()) == dataclasses.asdict(wanted)  # as older versions wrote all
    assert RunData.lost(run) == wanted
    (tmp_path / "data").mkdir()
    assert (RunData.of(run), RunData.lost(run)) == (wanted, None)
