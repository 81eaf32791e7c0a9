from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.images import write_image
from ssd_edge.core.run_data import RunData
from ssd_edge.model.checkpoint import save_checkpoint
from tests.exporting.models import lively_model, pictures
from tests.quantization.square_model import write_labelled


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_checkpoint(tmp_path / "runs/first/best.pt", lively_model("ssd192-tiny", input_size=64))
    for number, image in enumerate(pictures(2)):
        write_image(tmp_path / f"photos/{number}.png", image)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_exports_the_newest_checkpoint_and_says_all(workspace: Path) -> None:
    result = CliRunner().invoke(app, ["export", "--check-images", "photos"])
    assert result.exit_code == 0, result.stderr
    assert "using runs/first/best.pt" in result.stderr
    assert "comparing on 2 of the 2 images of photos" in result.stderr
    assert "exported engines/lively/lively.onnx\nnext: ssd-edge build engines/lively/lively.onnx" in result.stderr
    assert "PyTorch compared with ONNX Runtime, 2 images" in plain(result.stdout)
    assert re.search(r"largest box difference \(of the image\) │ \d\.\de-\d\d │ 0\.001", plain(result.stdout))
    assert (workspace / "engines/lively/lively.onnx").is_file()


def test_draws_scenes_where_no_images_are_named(workspace: Path) -> None:
    result = CliRunner().invoke(app, ["export", "runs/first/best.pt", "-o", "m.onnx", "--keep-top-k", "9"])
    assert result.exit_code == 0, result.stderr
    assert "comparing on 8 generated scenes; to compare on your own images: --check-images FOLDER" in result.stderr
    assert (workspace / "m.onnx").is_file()


def test_compares_on_what_the_run_was_judged_by(workspace: Path) -> None:
    write_labelled(workspace / "voc", "val", 20)
    RunData(str(workspace / "voc"), "train", "val").save(workspace / "runs/first")
    result = CliRunner().invoke(app, ["export"])
    assert result.exit_code == 0, result.stderr
    assert f"comparing on 8 images of {workspace / 'voc'}, split val" in result.stderr
    (workspace / "voc").rename(workspace / "moved")
    result = CliRunner().invoke(app, ["export"])
    assert result.exit_code == 0, result.stderr
    gone = f"the data set that runs/first was validated on does not exist any more: {workspace / 'voc'}\n"
    assert gone in result.stderr
    assert "comparing on 8 generated scenes" in result.stderr
    (workspace / "moved").rename(workspace / "voc")
    for picture in (workspace / "voc/JPEGImages").iterdir():
        picture.write_bytes(b"no image")
    result = CliRunner().invoke(app, ["export"])
    assert result.exit_code == 0, result.stderr
    assert "the validation images of runs/first cannot be read: " in result.stderr
    assert "comparing on 8 generated scenes" in result.stderr


def test_candidates_that_are_not_looked_at_are_told(workspace: Path) -> None:
    few = ["export", "--check-images", "photos", "--max-candidates", "50", "--keep-top-k", "50"]
    result = CliRunner().invoke(app, few)
    assert result.exit_code == 0, result.stderr
    said = r"2 of 2 images have more than 50 .* down to a score of 0\.\d\d .*--max-candidates"
    assert re.search(said, result.stderr)
    all_of_them = [*few, "--score-threshold", "0.6"]
    assert "--max-candidates" not in CliRunner().invoke(app, all_of_them).stderr


def test_failed_parity_exits_1_and_leaves_no_file(workspace: Path) -> None:
    result = CliRunner().invoke(app, ["export", "--check-images", "photos", "--score-threshold", "0.9999"])
    assert result.exit_code == 1
    assert "there were no detections to compare" in result.stderr
    assert not list((workspace / "engines").rglob("*.onnx"))


def test_empty_workspace_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export"])
    assert result.exit_code == 1
    assert "no file matches runs/*/best.pt: wanted a trained checkpoint. Train one: ssd-edge train" in result.stderr


def test_empty_folder_of_images(workspace: Path) -> None:
    (workspace / "empty").mkdir()
    result = CliRunner().invoke(app, ["export", "--check-images", "empty"])
    assert result.exit_code == 1
    assert "empty contains no images" in result.stderr


def test_missing_package_says_what_to_install(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("ssd_edge.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxsim", None)
    result = CliRunner().invoke(app, ["export"])
    assert result.exit_code == 1
    assert "exporting needs PyTorch and onnxsim" in result.stderr
    assert "pip install 'ssd-edge[export]'" in result.stderr
