from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.backends.detector import open_detector
from ssd_edge.cli.app import app
from ssd_edge.core.choices import Method
from ssd_edge.core.images import read_image
from ssd_edge.quantization.range_estimators import make_table
from ssd_edge.quantization.refine import refine
from tests.quantization.square_model import observed, rescaled, square_model, squares_missed, write_pictures


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of which one channel is 2,000 times as large as the others, and 16 images."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "engines/selftest/selftest.onnx"
    path.parent.mkdir(parents=True)
    onnx.save(rescaled(square_model(), 2000), path)
    write_pictures(tmp_path / "images", 16)
    return path


def build(*arguments: str):
    return CliRunner().invoke(app, ["build", "--int8", "--images", "images", *arguments])


def missed() -> int:
    with open_detector(Path("engines/selftest/selftest.int8.onnxruntime.engine")) as detector:
        return squares_missed(detector)


def test_equalisation_rescues_a_hostile_network(hostile: Path) -> None:
    assert build().exit_code == 0
    plainly_missed = missed()
    result = build("--refine")
    assert result.exit_code == 0, result.output
    assert "equalised: output error on 8 held-out images" in result.output
    assert "corrected: output error on 8 held-out images" in result.output
    made = json.loads(Path("engines/selftest/selftest.int8.onnxruntime.json").read_text())
    assert made["options"]["improved"][0] == "equalised"
    assert plainly_missed > 3
    assert missed() == 0


def test_too_few_pictures_to_hold_some_out(hostile: Path) -> None:
    for path in sorted(Path("images").iterdir())[10:]:
        path.unlink()
    result = build("--refine")
    assert result.exit_code == 1
    assert "--refine needs more calibration images: got 10; wanted at least 16" in result.output


def test_float_has_nothing_to_improve(hostile: Path) -> None:
    result = CliRunner().invoke(app, ["build", "--refine"])
    assert result.exit_code == 1
    assert "--refine needs --int8, without --dla and --implicit. Add --int8" in result.output


def test_what_is_held_out_is_not_measured(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the equalized network would be evaluated on images that its ranges were made of."""
    assert build().exit_code == 0
    read: list[str] = []

    def noted(path: Path):
        read.append(path.name)
        return read_image(path)

    monkeypatch.setattr("ssd_edge.quantization.observer.read_image", noted)
    assert build("--refine").exit_code == 0
    chosen = json.loads(Path("calibration/selftest.images.json").read_text())["images"]
    assert read == [Path(image).name for image in chosen[:8]]


def test_the_mixed_network_of_tensorrt_is_improved_too(hostile: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
    result = build("--fp16", "--target", "tensorrt-rtx", "--refine")
    assert result.exit_code == 0, result.exception
    assert "corrected: output error on 8 held-out images" in result.output


def test_nothing_is_changed_by_images_on_which_nothing_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source, chosen, histograms = observed(tmp_path, 16)
    table = make_table(histograms, Method.MINMAX, source, chosen)
    monkeypatch.setattr("ssd_edge.quantization.output_error._SCORE_OF_INTEREST", 2.0)
    made = refine(source, table, chosen, lambda *_: pytest.fail("nothing is to be lowered"))
    assert (made.model, made.table, made.steps) == (source.model, table, ())
    assert "not refined: no box has a score above 2 on 8 images" in caplog.text
