from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.workflows.label_model import ModelOpener
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.labelling.photos import write_photos

pytest.importorskip("pyarrow")


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tiny_onnx(tmp_path / "engines/bright/bright.onnx")
    write_photos(tmp_path / "photos", 6)
    return tmp_path


def test_a_damaged_image_is_counted_and_no_failure(workspace: Path) -> None:
    (workspace / "photos/0001.png").write_text("damaged")
    result = run("label", "photos", "--output", "out", "--format", "yolo")
    assert result.exit_code == 0, result.output
    assert "out: 6 images, 5 detections, 1 unreadable" in " ".join(result.output.split())
    assert "1 left out, for example photos/0001.png" in result.output
    assert "complete; digest sha256:" in result.output
    assert len(list((workspace / "out/yolo/labels/train").glob("*.txt"))) == 5


def test_the_summary_goes_to_stdout_alone(workspace: Path) -> None:
    result = run("--quiet", "label", "photos", "--json", "-")
    assert json.loads(result.stdout) == json.loads((workspace / "labels/summary.json").read_text())
    assert run("label", "photos", "--json", "s.json").exit_code == 0
    assert json.loads(Path("s.json").read_text())["run"]["images"] == 0


def test_shards_say_what_waits() -> None:
    arguments = ("label", "photos", "--images-per-part", 2, "--threads", 1, "--batch-size", 2)
    first = run(*arguments, "--shard", "1/2")
    assert first.exit_code == 0
    assert "1 of 3 parts are left to other shards" in first.output
    assert "complete; digest sha256:" in run(*arguments, "--shard", "2/2").output


def test_parts_of_different_processors_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("label", "photos", "--images-per-part", 2, "--threads", 1, "--batch-size", 2)
    words = "different processors were used, so the last digits may differ"
    monkeypatch.setattr(ModelOpener, "device", lambda _: "one kind")
    assert words not in run(*arguments, "--shard", "1/2").output
    monkeypatch.setattr(ModelOpener, "device", lambda _: "another")
    assert f"{words}: another, one kind" in " ".join(run(*arguments, "--shard", "2/2").output.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("label",), 2, "SOURCE"),
        (("label", "photos", "--shard", "2"), 1, "wanted I/N"),
        (("label", "photos", "--shard", "0/2"), 1, "the shard is out of range"),
        (("label", "photos", "--engine", "spark"), 2, "spark"),
        (("label", "gone"), 1, "gone does not exist"),
        (("label", "photos", "--device", "cuda"), 1, "runs on the CPU only"),
    ],
)
def test_what_is_wrong_is_refused(arguments: tuple[object, ...], code: int, words: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, words in " ".join(result.output.split())) == (code, True), result.output
