from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.ranges import CalibrationTable
from ssd_edge.core.run_data import RunData
from ssd_edge.data.synth.dataset import synthesize
from tests.precision.square_model import write_pictures, write_square_model

TABLE = Path("calibration/selftest.ranges.json")


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_square_model(tmp_path / "engines/selftest/selftest.onnx")
    write_pictures(tmp_path / "pictures", 20)
    return tmp_path


def test_a_folder_of_pictures_gives_a_set_and_a_table() -> None:
    result = run("calibrate", "--images", "pictures", "--max-images", 16)
    assert result.exit_code == 0, result.output
    assert "using engines/selftest/selftest.onnx" in result.output
    assert "chose 16 pictures of pictures: calibration/selftest.images.json" in result.output
    assert "output error on 2 held-out pictures: minmax" in result.output
    table = CalibrationTable.load(TABLE)
    assert (table.model, table.image_count, len(table.ranges)) == ("selftest", 16, 6)
    assert not list(Path("calibration").glob(".*"))


def test_the_set_is_used_again_and_gives_the_same_table() -> None:
    assert run("calibrate", "--images", "pictures", "--method", "entropy").exit_code == 0
    first = TABLE.read_bytes()
    again = run("calibrate", "--method", "entropy")
    assert "using calibration/selftest.images.json" in again.output
    assert TABLE.read_bytes() == first


def test_the_run_says_what_the_model_learnt_from(tmp_path: Path) -> None:
    synthesize(tmp_path / "drawn", train=6, size=(96, 64), workers=1)
    run_folder = tmp_path / "runs/selftest"
    run_folder.mkdir(parents=True)
    RunData(str(tmp_path / "drawn"), "train", "val").save(run_folder)
    result = run("calibrate", "--method", "minmax")
    assert result.exit_code == 0, result.output
    assert "using what selftest learnt from" in result.output
    assert json.loads(Path("calibration/selftest.images.json").read_text())["split"] == "train"


def test_no_pictures_known() -> None:
    result = run("calibrate")
    assert result.exit_code == 1
    assert "there are no pictures to calibrate selftest with" in result.output
    assert "ssd-edge calibrate --images FOLDER" in result.output
    assert not TABLE.exists()


def test_one_picture_is_too_few(tmp_path: Path) -> None:
    write_pictures(tmp_path / "one", 1)
    result = run("calibrate", "--images", "one")
    assert result.exit_code == 1
    assert "too few pictures to calibrate with: got 1; wanted at least 2" in result.output


def test_a_picture_of_the_set_that_has_changed(tmp_path: Path) -> None:
    assert run("calibrate", "--images", "pictures", "--method", "minmax").exit_code == 0
    (tmp_path / "pictures/003.png").unlink()
    result = run("calibrate")
    assert result.exit_code == 1
    assert "003.png of calibration/selftest.images.json is not the picture that was chosen" in result.output


def test_a_file_that_is_no_onnx(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing of the kind")
    result = run("calibrate", "x.onnx", "--images", "pictures")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "x.onnx" in result.output
