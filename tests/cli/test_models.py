from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.model.zoo import preset_names


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["models", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.slow
def test_every_preset_is_listed_in_80_columns() -> None:
    code, shown, said = call()
    assert code == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown.splitlines() if "│" in line]
    assert tuple(row[0] for row in rows) == preset_names()
    assert "ssdlite320-mobilenetv4_conv_small" in said


def test_the_figures_are_the_published_ones() -> None:
    """torchvision publishes 35,641,826 parameters, 34.858 GMAC and 25.1 mAP for 90 classes."""
    _, shown, _ = call("ssd300-vgg16", "ssd300-vgg16-voc", "--classes", "90")
    first = next(line for line in shown.splitlines() if "ssd300-vgg16 " in line)
    assert [cell.strip() for cell in first.strip("│").split("│")] == [
        *("ssd300-vgg16", "8,732", "35.64", "34.86", "25.1 [1]"),
    ]
    assert "networks for 90 classes" in shown
    assert "[1] COCO val2017, torchvision" in shown
    assert "[2] VOC07 test, weiliu89/caffe, branch ssd" in shown


def test_an_unknown_name_is_one_sentence() -> None:
    code, _, said = call("yolo")
    assert code == 1
    assert said.startswith("ssd-edge: there is no preset 'yolo': wanted ssd300-vgg16, ")


def test_pytorch_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ssd_edge.model.zoo")
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, said = call()
    assert code == 1
    assert "the networks need PyTorch" in said
