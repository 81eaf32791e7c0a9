"""What a build says of a network that INT8 harms."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.files import file_digest
from tests.quantization.square_model import rescaled, square_model, write_labelled, write_pictures

ONNX = Path("engines/selftest/selftest.onnx")
LOST = "more than 1 % of the mAP is lost. --refine may recover part of it; --max-drop 0.5 keeps the worst layers"


def run(*arguments: object):
    result = CliRunner().invoke(app, ["build", "--int8", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of which one channel is 2,000 times as large as the others, images and labelled ones."""
    monkeypatch.chdir(tmp_path)
    ONNX.parent.mkdir(parents=True)
    onnx.save(rescaled(square_model(), 2000), ONNX)
    write_pictures(Path("images"), 18)
    write_labelled(Path("voc"))
    monkeypatch.setattr("ssd_edge.engines.benchmark._ROUNDS", 2)


def test_what_helps_is_named_where_much_is_lost() -> None:
    assert LOST in run("--images", "images", "--data", "voc").output
    assert LOST in run("--data", "voc").output  # as evaluated before
    assert LOST not in run("--data", "voc", "--max-drop", 1).output
    assert LOST not in run("--data", "voc", "--refine").output


def test_nothing_is_named_where_little_is_lost() -> None:
    onnx.save(square_model(), ONNX)
    assert "points lost" in (result := run("--images", "images", "--data", "voc")).output
    assert "of the mAP is lost" not in result.output


def figures() -> dict[str, object]:
    return json.loads(ONNX.with_suffix(".sensitivity.json").read_text())


def written() -> list[tuple[str, float]]:
    """The layers with their errors, as JSON and drawing both have them."""
    found = [(entry["name"], entry["error"]) for entry in figures()["layers"]]
    drawn = ElementTree.parse(ONNX.with_suffix(".sensitivity.svg")).getroot()
    texts = [text.text for text in drawn.findall("{http://www.w3.org/2000/svg}text")[1:]]
    bars = [float(bar.get("width")) for bar in drawn.findall("{http://www.w3.org/2000/svg}rect")[1:]]
    assert list(zip(texts[::2], texts[1::2], strict=True)) == [(name, f"{error:.4f}") for name, error in found]
    assert bars == sorted(bars, reverse=True)
    return found


@pytest.mark.parametrize("judged", [("--data", "voc"), ()])
def test_layers_are_ranked_without_a_guard(judged: tuple[str, ...]) -> None:
    result = run("--images", "images", "--sensitivity", *judged)
    layers = written()
    assert len(layers) == 5
    assert layers[0][0] in ("conv2", "conv3")  # the channel that was rescaled goes from the one to the other
    assert layers[0][1] > 10 * layers[2][1]
    shown = result.output.split("when only this layer computes in INT8, worst first:\n")[1].splitlines()[:5]
    assert [tuple(line.split()[1:]) for line in shown] == [(f"{error:.4f}", name) for name, error in layers]
    assert (figures()["format"], figures()["model"]) == ("ssd-edge/sensitivity/1", "selftest")
    assert figures()["onnx_digest"] == file_digest(ONNX)


def test_layers_of_an_engine_that_is_there_are_ranked_without_judging_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ("--data", "voc", "--max-drop", 1)
    run("--images", "images", *options)
    before = written()  # the guard had to act
    for suffix in (".sensitivity.json", ".sensitivity.svg"):
        ONNX.with_suffix(suffix).unlink()
    monkeypatch.setattr("ssd_edge.workflows.build.accuracy.AccuracyChecker.mean_ap", None)
    result = run(*options, "--sensitivity")
    assert "already built" in result.output
    assert written() == before


def test_the_guard_and_the_ranking_measure_once() -> None:
    result = run("--images", "images", "--data", "voc", "--max-drop", 1, "--sensitivity")
    assert result.output.count("worst first") == 1


def test_float_has_nothing_to_rank() -> None:
    result = CliRunner().invoke(app, ["build", "--sensitivity"])
    assert result.exit_code == 1
    assert "--sensitivity needs --int8. Add --int8, or leave out --sensitivity" in result.output
