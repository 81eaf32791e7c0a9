from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.cli.data import parse_size
from ssd_edge.core.errors import InputError
from ssd_edge.data.find import open_dataset


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["data", "synth", *(str(argument) for argument in arguments)])
    return result.exit_code, result.output


def test_synth_draws_a_set_and_a_film(tmp_path: Path) -> None:
    folder, film = tmp_path / "signs", tmp_path / "video.mp4"
    small = ("--train", 3, "--val", 1, "--test", 2, "--size", "64x48", "--format", "coco")
    code, output = run(folder, *small, "--video", film, "--frames", 3, "--video-size", "96x64")
    assert code == 0, output
    assert f"{folder}: 3 train, 1 val, 2 test, 8 classes, coco" in output
    assert f"{film}: 3 frames" in output
    assert str(tmp_path / "video.truth.jsonl") in output
    assert [len(open_dataset(folder, split)) for split in ("train", "val", "test")] == [3, 1, 2]
    assert film.is_file()
    code, output = run(folder, *small)
    assert code == 0
    assert "(already there)" in output


def test_a_foreign_folder_is_refused_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    code, output = run(tmp_path, "--train", 1)
    assert code == 1
    assert "is not empty and was not drawn by ssd-edge" in output
    assert "replace its contents: --overwrite." in output
    assert "Traceback" not in output


@pytest.mark.parametrize("text", ["320", "320*240", "x", "-3x5", "320x240x3", "999999x2"])
def test_sizes_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="got .*wanted WIDTHxHEIGHT"):
        parse_size(text)
    assert run(tmp_path / "a", f"--size={text}")[0] == 1
    assert not (tmp_path / "a").exists()


def test_sizes_are_width_by_height() -> None:
    assert parse_size("320x240") == (320, 240)
