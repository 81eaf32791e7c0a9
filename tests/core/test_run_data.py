"""What a run trained on, as its folder says it; data that are gone, or never can have been, are None."""

from __future__ import annotations

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
