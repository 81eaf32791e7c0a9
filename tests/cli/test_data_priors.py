from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.data.priors_file import PriorsFile
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.model.zoo import make_spec
from ssd_edge.workflows import fit_priors as workflow
from ssd_edge.workflows.training_choice import DEFAULT_PRESET
from tests.data.folders import draw, voc_object, write_voc

LONG = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
TINY = ("--preset", "ssd192-tiny")
FAST = ("--epochs", 1, "--batch-size", 4, "--workers", 0, "--precision", "float32")


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of 100 x 80 with long low objects, which square anchors do not reach."""
    for split, count in (("train", 8), ("val", 4)):
        for number in range(count):
            x, y = 1 + 5 * number, 3 + 7 * number
            objects = voc_object("bar", LONG.format(x, y, x + 59, y + 7)) + voc_object(
                "bar", LONG.format(9, 60, 70, 69)
            )
            write_voc(tmp_path / "data", objects, split=split, stem=f"{split}{number}")
    draw(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ssd_edge.backends.cpu.physical_cores", lambda: 1)
    return tmp_path


def test_a_model_with_fitted_boxes_trains_exports_builds_and_runs(workspace: Path) -> None:
    result = run("data", "priors", "data", "--preset", "ssd192-tiny", "--input-size", 64, "--per-level", 3)
    assert result.exit_code == 0, result.output
    assert "train (fitted to)" in result.stdout
    following = result.stderr.partition("next: ssd-edge ")[2].split()
    result = run(*following, "--no-check", "--name", "bars", *FAST)
    assert result.exit_code == 0, result.output
    fitted = PriorsFile.load(Path("priors.json")).anchors
    assert load_checkpoint(Path("runs/bars/best.pt")).spec.anchors == fitted
    assert f"using the {fitted.count} anchors of priors.json" in result.stderr
    for command in (["export"], ["build"], ["run", "photo.jpg", "--json", "found.jsonl", "--no-window"]):
        result = run(*command)
        assert result.exit_code == 0, result.output
    assert json.loads(Path("found.jsonl").read_text())["source"].endswith("photo.jpg")


def test_a_rectangular_input_is_fitted_and_checked_and_trained_on(workspace: Path) -> None:
    result = run("data", "priors", "data", *TINY, "--input-size", "128x64")
    assert result.exit_code == 0, result.output
    assert (PriorsFile.load(Path("priors.json")).width, PriorsFile.load(Path("priors.json")).height) == (128, 64)
    checked = run("data", "check", "data", *TINY, "--input-size", "128x64", "--priors", "priors.json")
    assert "the anchors of ssd192-tiny match" in checked.stderr
    following = result.stderr.partition("next: ssd-edge ")[2].split()
    result = run(*following, "--no-check", "--name", "bars", *FAST)
    assert result.exit_code == 0, result.output
    spec = load_checkpoint(Path("runs/bars/best.pt")).spec
    assert (spec.input.width, spec.input.height) == (128, 64)


def test_without_a_preset_the_network_is_that_of_train(workspace: Path) -> None:
    assert run("data", "priors", "data").exit_code == 0
    fitted = PriorsFile.load(Path("priors.json"))
    assert fitted.preset == DEFAULT_PRESET
    size = f"{fitted.width}x{fitted.height}"
    again = run("data", "priors", "data", "--preset", fitted.preset, "--input-size", size, "--output", "named.json")
    assert again.exit_code == 0, again.output
    assert PriorsFile.load(Path("named.json")).anchors == fitted.anchors


def test_train_takes_the_network_of_the_anchors(workspace: Path) -> None:
    assert run("data", "priors", "data", *TINY, "--input-size", "128x64").exit_code == 0
    result = run(
        "train", "data", "--no-check", "--priors", "priors.json", "--backbone", "none", "--name", "bars", *FAST
    )
    assert result.exit_code == 0, result.output
    spec = load_checkpoint(Path("runs/bars/best.pt")).spec
    assert spec.anchors == PriorsFile.load(Path("priors.json")).anchors
    assert (spec.input.width, spec.input.height) == (128, 64)


def test_where_no_fit_helps_the_presets_anchors_are_written(workspace: Path) -> None:
    assert run("data", "priors", "data", *TINY, "--input-size", 64, "--output", "first.json").exit_code == 0
    first = PriorsFile.load(Path("first.json"))
    assert first.fitted_to["after"]["recall"] > first.fitted_to["before"]["recall"]
    for path in Path("data/Annotations").iterdir():
        box = LONG.format(11, 9, 60, 48)  # half of the image in both directions
        path.write_text(f"<annotation>{voc_object('bar', box)}</annotation>")
    result = run("data", "priors", "data", *TINY, "--input-size", 64, "--output", "second.json")
    assert result.exit_code == 0, result.output
    second = PriorsFile.load(Path("second.json"))
    before, after = second.fitted_to["before"], second.fitted_to["after"]
    assert after["recall"] == before["recall"] == 1.0
    assert after["mean_iou"] > before["mean_iou"] + 0.005  # which alone is worth a file
    repeated = run("data", "priors", "data", *TINY, "--input-size", 64, "--per-level", 1, "--output", "third.json")
    assert repeated.exit_code == 0, repeated.output
    assert Path("third.json").is_file()


def test_a_fit_that_is_no_better_is_said_and_not_written(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = workflow.fit_anchors
    monkeypatch.setattr(
        workflow,
        "fit_anchors",
        lambda *values, **options: replace(found := made(*values, **options), after=found.before),
    )
    result = run("data", "priors", "data", *TINY, "--input-size", 64)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert "no better than ssd192-tiny's on this data; priors.json contains the preset's anchors" in said
    assert PriorsFile.load(Path("priors.json")).anchors == make_spec("ssd192-tiny", ["bar"], input_size=64).anchors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--per-level", "0"), "--per-level"),
        (("--per-level", "1,2"), "--per-level"),
        (("--preset", "none"), "there is no preset"),
        (("--split", "dev"), "data contains no data set split 'dev'"),
    ],
)
def test_faults_are_named(workspace: Path, options: tuple[str, ...], message: str) -> None:
    result = run("data", "priors", "data", *options, *(() if "--preset" in options else TINY))
    assert result.exit_code == 1
    assert message in result.stderr


def test_boxes_of_another_network_are_refused(workspace: Path) -> None:
    assert run("data", "priors", "data", *TINY, "--input-size", 64).exit_code == 0
    result = run(
        "train", "data", "--preset", "ssd192-tiny", "--no-check", "--priors", "priors.json", "--input-size", 96
    )
    assert result.exit_code == 1
    assert "priors.json contains anchors for another network" in result.stderr
