from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.run_data import RunData
from ssd_edge.quantization import observer as observe
from ssd_edge.workflows.synthesize import synthesize
from tests.quantization.square_model import write_labelled, write_pictures, write_square_model

TABLE, SET = Path("calibration/selftest.ranges.json"), Path("calibration/selftest.images.json")


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_square_model(tmp_path / "engines/selftest/selftest.onnx")
    write_pictures(tmp_path / "images", 20)
    return tmp_path


def test_a_folder_of_pictures_gives_a_set_and_a_table() -> None:
    result = run("calibrate", "--images", "images", "--max-images", 16)
    assert result.exit_code == 0, result.output
    assert "using engines/selftest/selftest.onnx" in result.output
    assert "chose 16 images from images\n" in result.output
    assert "wrote calibration/selftest.images.json: 16 images" in result.output
    assert "output error on 2 held-out images: minmax" in result.output
    table = CalibrationTable.load(TABLE)
    assert (table.model, table.image_count, len(table.ranges)) == ("selftest", 16, 6)
    assert not list(Path("calibration").glob(".*"))


def test_the_set_is_used_again_and_gives_the_same_table() -> None:
    assert run("calibrate", "--images", "images", "--method", "entropy").exit_code == 0
    first = TABLE.read_bytes()
    again = run("calibrate", "--method", "entropy")
    assert "using calibration/selftest.images.json" in again.output
    assert TABLE.read_bytes() == first


def test_a_training_set_that_is_gone_is_named() -> None:
    run_folder = Path("runs/selftest")
    run_folder.mkdir(parents=True)
    RunData("/elsewhere/signs", "train", "val").save(run_folder)
    for command in (["calibrate"], ["build", "--int8"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "the data set that selftest was trained on does not exist any more" in result.stderr
        assert "got runs/selftest, which names /elsewhere/signs" in result.stderr
        assert "ssd-edge calibrate --images FOLDER" in result.stderr


def test_the_training_set_in_a_workspace_that_was_renamed_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesize(tmp_path / "drawn", train=6, val=0, test=0, size=(96, 64), workers=1)
    run_folder = tmp_path / "runs/selftest"
    run_folder.mkdir(parents=True)
    RunData(str(tmp_path / "drawn"), "train", "val").save(run_folder)
    renamed = tmp_path.with_name(f"{tmp_path.name}-renamed")
    tmp_path.rename(renamed)
    monkeypatch.chdir(renamed)
    result = run("calibrate", "--method", "minmax")
    assert result.exit_code == 0, result.stderr
    assert f"using the training data of selftest: {renamed / 'drawn'}, split train" in result.stderr


def test_the_run_says_what_the_model_learnt_from(tmp_path: Path) -> None:
    synthesize(tmp_path / "drawn", train=6, val=0, test=0, size=(96, 64), workers=1)
    run_folder = tmp_path / "runs/selftest"
    run_folder.mkdir(parents=True)
    RunData(str(tmp_path / "drawn"), "train", "val").save(run_folder)
    result = run("calibrate", "--method", "minmax")
    assert result.exit_code == 0, result.output
    assert "using the training data of selftest" in result.output
    assert json.loads(Path("calibration/selftest.images.json").read_text())["split"] == "train"


def test_no_pictures_known() -> None:
    result = run("calibrate")
    assert result.exit_code == 1
    assert "no images were found to calibrate selftest on" in result.output
    assert "ssd-edge calibrate --images FOLDER" in result.output
    assert not TABLE.exists()


def test_pictures_of_16_bits_grey_and_with_alpha_are_pictures(tmp_path: Path) -> None:
    """They give the very ranges of the 8-bit colors that a camera would have given."""
    plain, mixed = tmp_path / "plain", tmp_path / "mixed"
    mixed.mkdir()
    for number, path in enumerate(write_pictures(plain, 6)):
        image = cv2.imread(str(path))
        if number % 3 == 1:
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            cv2.imwrite(str(path), cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
            cv2.imwrite(str(mixed / path.name), grey)
        elif number % 3 == 2:
            cv2.imwrite(str(mixed / path.name), image.astype(np.uint16) * 257)
        else:
            cv2.imwrite(str(mixed / path.name), cv2.cvtColor(image, cv2.COLOR_BGR2BGRA))
    ranges = []
    for folder in ("plain", "mixed"):
        result = run("calibrate", "--images", folder, "--method", "minmax")
        assert result.exit_code == 0, result.output
        ranges.append(CalibrationTable.load(TABLE).ranges)
    assert ranges[0] == ranges[1]


def test_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, found in (("empty", "empty contains no"), ("absent", "absent is not a folder")):
        result = run("calibrate", "--images", folder)
        assert result.exit_code == 1
        assert found in result.output
    assert not TABLE.exists()


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_image_that_cannot_be_read_is_left_out_and_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "images/007.png"
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    result = run("calibrate", "--images", "images")
    assert result.exit_code == 0, result.output
    assert re.search(r"007\.png (is empty|is not an image|is truncated).*it is left out", result.stderr)
    assert "007.png" not in Path("calibration/selftest.images.json").read_text()
    for number in (1, 2):
        (tmp_path / f"images/00{number}.png").write_bytes(b"")
    result = run("calibrate", "--images", "images")
    assert result.exit_code == 1
    (share,) = re.findall(r"3 of \d+ images cannot be used.*--max-bad (0\.\d\d)", result.stderr)
    result = run("calibrate", "--images", "images", "--method", "minmax", "--max-bad", share)
    assert result.exit_code == 0, result.output
    assert "3 images left out, for example images/00" in result.stderr
    result = run("calibrate", "--images", "images", "--strict", "--max-bad", share)
    assert result.exit_code == 1
    assert re.search(r"00\d\.png is ", result.stderr)


def test_the_split_that_models_are_judged_on(tmp_path: Path) -> None:
    write_labelled(tmp_path / "voc", "test")
    result = run("calibrate", "--images", "voc", "--split", "test")
    assert result.exit_code == 1
    assert "the split 'test' of voc is used for evaluation" in result.output


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("calibrate", "--images", "images", "--method", "entropy")
    assert whole.exit_code == 0
    wanted = TABLE.read_bytes()
    TABLE.unlink()
    SET.unlink()
    read, seen = observe.read_image, []

    def stopped(path: Path):
        if len(seen) == 7:
            raise KeyboardInterrupt
        seen.append(path)
        return read(path)

    monkeypatch.setattr(observe, "read_image", stopped)
    assert run("calibrate", "--images", "images", "--method", "entropy").exit_code == 130
    assert not TABLE.exists()
    assert not SET.exists()
    assert [path.name for path in Path("calibration").glob(".*")] != []
    monkeypatch.setattr(observe, "read_image", lambda path: seen.append(path) or read(path))
    assert run("calibrate", "--images", "images", "--method", "entropy").exit_code == 0
    assert len(seen) == 20  # none twice
    assert TABLE.read_bytes() == wanted
    assert not list(Path("calibration").glob(".*"))


def test_one_picture_is_too_few(tmp_path: Path) -> None:
    write_pictures(tmp_path / "one", 1)
    result = run("calibrate", "--images", "one")
    assert result.exit_code == 1
    assert "too few images for calibration: got 1; wanted at least 2" in result.output
    assert "Give more images: ssd-edge calibrate --images FOLDER" in result.output
    assert not list(Path("calibration").iterdir())


@pytest.mark.parametrize("stopped", [False, True])
def test_a_calibration_that_fails_leaves_the_set_and_the_table_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    assert run("calibrate", "--images", "images", "--method", "minmax").exit_code == 0
    before = {path.name: path.read_bytes() for path in Path("calibration").iterdir()}
    write_pictures(tmp_path / "others", 9 if stopped else 1, seed=8)
    with monkeypatch.context() as patched:
        if stopped:
            patched.setattr(observe, "read_image", interrupted)
        assert run("calibrate", "--images", "others", "--method", "minmax").exit_code == (130 if stopped else 1)
    assert {path.name: path.read_bytes() for path in Path("calibration").iterdir()} == before
    assert run("calibrate", "--method", "minmax").exit_code == 0


def test_a_picture_of_the_set_that_has_changed(tmp_path: Path) -> None:
    assert run("calibrate", "--images", "images", "--method", "minmax").exit_code == 0
    (tmp_path / "images/003.png").unlink()
    result = run("calibrate")
    assert result.exit_code == 1
    assert "003.png has changed since it was chosen (listed in calibration/selftest.images.json)" in result.output


def test_a_file_that_is_no_onnx(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing of the kind")
    result = run("calibrate", "x.onnx", "--images", "images")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "x.onnx" in result.output


@pytest.mark.parametrize("name", ["engines/selftest/selftest.onnx", "table.json", ".ranges.json"])
def test_a_table_has_a_name_of_its_own(tmp_path: Path, name: str) -> None:
    before = (tmp_path / "engines/selftest/selftest.onnx").read_bytes()
    result = run("calibrate", "--images", "images", "--output", name)
    assert result.exit_code == 1
    assert (
        f"{name} is not a valid name for a calibration table: wanted a name that ends with .ranges.json"
        in result.output
    )
    assert (tmp_path / "engines/selftest/selftest.onnx").read_bytes() == before


def test_a_table_elsewhere_is_named_in_the_next_command(tmp_path: Path) -> None:
    (tmp_path / "a.ranges.json").mkdir()
    assert "a.ranges.json is a folder" in run("calibrate", "--images", "images", "-o", "a.ranges.json").output
    result = run("calibrate", "--images", "images", "--method", "minmax", "-o", "my tables/b.ranges.json")
    assert result.exit_code == 0
    assert "build --int8 engines/selftest/selftest.onnx --ranges 'my tables/b.ranges.json'" in result.output


def test_damaged_work_is_named_and_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    read = observe.read_image

    def stopped(path: Path):
        if path.name == "007.png":
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(observe, "read_image", stopped)
    assert run("calibrate", "--images", "images", "--method", "entropy").exit_code == 130
    (state,) = Path("calibration").glob(".*")
    state.write_bytes(state.read_bytes()[:-100])
    monkeypatch.setattr(observe, "read_image", read)
    result = run("calibrate", "--images", "images", "--method", "entropy")
    assert result.exit_code == 0
    assert f"{state} cannot be continued (" in result.output
    assert "measuring all images again" in result.output
    assert not state.exists()


def test_ctrl_c_while_the_method_is_chosen_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ssd_edge.quantization.output_error.OutputError.__call__", stopped)
        assert run("calibrate", "--images", "images").exit_code == 130
    assert not TABLE.exists()
    with monkeypatch.context() as patched:
        patched.setattr(observe, "read_image", None)  # no image is measured again
        result = run("calibrate", "--images", "images")
    assert result.exit_code == 0, result.exception
    assert CalibrationTable.load(TABLE).image_count == 20
    assert not list(Path("calibration").glob(".*"))


@pytest.mark.parametrize("option", [("--max-images", 12), ("--seed", 0), ("--split", "train")])
def test_of_a_set_that_is_chosen_nothing_is_chosen(option: tuple[object, ...]) -> None:
    assert run("calibrate", "--images", "images", "--method", "minmax").exit_code == 0
    result = run("calibrate", *option)
    assert result.exit_code == 1
    assert "calibration/selftest.images.json contains 20 images that have already been chosen" in result.output
    assert "Choose again, with these options: ssd-edge calibrate --images images" in result.output
    assert run("calibrate", "--images", "images", "--method", "minmax", *option[:2]).exit_code == 0


def test_a_set_that_is_named_becomes_the_models(tmp_path: Path) -> None:
    """What a build must not be evaluated on it knows from the table, whatever lies beside it."""
    write_labelled(tmp_path / "voc", "val", 4)
    assert run("calibrate", "--images", "voc/JPEGImages", "--method", "minmax").exit_code == 0
    Path("calibration/selftest.images.json").rename("mine.images.json")
    assert run("calibrate", "--images", "mine.images.json", "--method", "minmax").exit_code == 0
    result = run("build", "--int8", "--data", "voc")
    assert result.exit_code == 1
    assert "4 images of VOC voc, split val were used for calibration" in result.output
    SET.unlink()
    result = run("build", "--int8", "--data", "voc")
    assert result.exit_code == 1
    assert "4 images of VOC voc, split val were used for calibration" in result.output


def test_nothing_is_judged_on_pictures_that_it_was_improved_with(tmp_path: Path) -> None:
    write_labelled(tmp_path / "voc", "val", 16)
    assert run("calibrate", "--images", "voc/JPEGImages", "--method", "minmax").exit_code == 0
    SET.unlink()
    result = run("build", "--int8", "--refine", "--images", "voc/JPEGImages", "--data", "voc")
    assert result.exit_code == 1
    assert "16 images of VOC voc, split val were used for calibration" in result.output
    assert not SET.exists()


def test_few_pictures_are_not_called_held_out() -> None:
    result = run("calibrate", "--images", "images", "--max-images", 4)
    assert "output error on 1 calibration image (too few to hold any out): minmax" in result.output


def test_kept_pictures_calibrate_wherever_the_folder_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("calibrate", "--images", "images", "--method", "entropy", "--keep-images")
    assert "copied the images: calibration/selftest.images\n" in result.output
    table = TABLE.read_bytes()
    assert json.loads(SET.read_text())["images"][0] == "selftest.images/0000.png"
    for name in ("calibration", "engines"):
        shutil.copytree(tmp_path / name, tmp_path / "board" / name)
        shutil.rmtree(tmp_path / name)
    shutil.rmtree(tmp_path / "images")
    monkeypatch.chdir(tmp_path / "board")
    TABLE.unlink()
    assert run("calibrate", "--method", "entropy").exit_code == 0
    assert TABLE.read_bytes() == table
    assert run("build", "--int8", "--refine").exit_code == 0
    shown = run("inspect", SET).output
    assert "next to the list" in shown
    Path("calibration/selftest.images/0003.png").write_bytes(b"another")
    refused = run("calibrate")
    assert refused.exit_code == 1
    assert (
        "selftest.images/0003.png has changed since it was chosen (listed in calibration/selftest.images.json)"
        in refused.output
    )


def test_kept_pictures_take_the_place_of_those_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Path("calibration/selftest.images")
    assert run("calibrate", "--images", "images", "--method", "minmax", "--keep-images").exit_code == 0
    assert run("calibrate", "--method", "minmax", "--keep-images").exit_code == 0  # out of the folder itself
    assert len(list(kept.iterdir())) == 20
    before = sorted(path.read_bytes() for path in kept.iterdir())
    write_pictures(tmp_path / "others", 3, seed=8)
    with monkeypatch.context() as patched:
        patched.setattr("ssd_edge.core.calibration_table.CalibrationTable.save", None)
        run("calibrate", "--images", "others", "--method", "minmax", "--keep-images")
    assert sorted(path.read_bytes() for path in kept.iterdir()) == before
    assert run("calibrate", "--images", "others", "--method", "minmax", "--keep-images").exit_code == 0
    others = sorted(path.read_bytes() for path in (tmp_path / "others").iterdir())
    assert sorted(path.read_bytes() for path in kept.iterdir()) == others
    assert not list(Path("calibration").glob(".*"))


def test_copies_that_nothing_uses_any_more_are_named_and_stay(tmp_path: Path) -> None:
    kept = Path("calibration/selftest.images")
    said = f"the copies of an earlier set are no longer used: {kept}"
    assert said not in run("calibrate", "--images", "images", "--method", "minmax", "--keep-images").output
    assert said not in run("calibrate", "--method", "minmax").output  # out of the folder itself
    write_pictures(tmp_path / "others", 3, seed=8)
    assert said in run("calibrate", "--images", "others", "--method", "minmax").output
    assert len(list(kept.iterdir())) == 20
