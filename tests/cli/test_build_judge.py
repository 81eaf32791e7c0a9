"""What a build says of a network that INT8 harms."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from tests.precision.square_model import rescaled, square_model, write_labelled, write_pictures

ONNX = Path("engines/selftest/selftest.onnx")
LOST = "more than 1 % of the mAP is lost: --improve may win some of it back, and --max-drop 0.5 keeps the worst layers"


def run(*arguments: object):
    result = CliRunner().invoke(app, ["build", "--int8", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of which one channel is 2,000 times as large as the others, pictures and labelled ones."""
    monkeypatch.chdir(tmp_path)
    ONNX.parent.mkdir(parents=True)
    onnx.save(rescaled(square_model(), 2000), ONNX)
    write_pictures(Path("pictures"), 18)
    write_labelled(Path("voc"))
    monkeypatch.setattr("ssd_edge.cli.speed._ROUNDS", 2)


def test_what_helps_is_named_where_much_is_lost() -> None:
    assert LOST in run("--images", "pictures", "--data", "voc").output
    assert LOST in run("--data", "voc").output  # as judged before
    assert LOST not in run("--data", "voc", "--max-drop", 1).output
    assert LOST not in run("--data", "voc", "--improve").output


def test_nothing_is_named_where_little_is_lost() -> None:
    onnx.save(square_model(), ONNX)
    assert "points lost" in (result := run("--images", "pictures", "--data", "voc")).output
    assert "of the mAP is lost" not in result.output
