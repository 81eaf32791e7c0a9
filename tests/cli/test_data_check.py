from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.progress import ProgressEvent
from ssd_edge.workflows.synthesize import synthesize


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    synthesize(tmp_path / "signs", format="voc", train=8, val=4, test=2, size=(128, 96), seed=5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ssd_edge.backends.cpu.physical_cores", lambda: 1)
    return tmp_path


def spoil(folder: Path) -> str:
    """Swap the corners of an object of train, and empty an image of test; return the annotation's name."""
    stem = next(
        stem
        for stem in (folder / "ImageSets" / "Main" / "train.txt").read_text().split()
        if "<xmin>" in (folder / "Annotations" / f"{stem}.xml").read_text()
    )
    path = folder / "Annotations" / f"{stem}.xml"
    path.write_text(re.sub(r"<xmin>[^<]*", "<xmin>127", path.read_text(), count=1))
    emptied = (folder / "ImageSets" / "Main" / "test.txt").read_text().split()[0]
    (folder / "JPEGImages" / f"{emptied}.jpg").write_bytes(b"")
    return path.name


def test_a_sound_set_exits_0_with_its_figures(workspace: Path) -> None:
    result = run("data", "check", "signs", "--preset", "ssd192-tiny")
    assert result.exit_code == 0, result.output
    assert "signs: no error" in result.stderr
    assert re.search(r"train: the anchors of ssd192-tiny match [01]\.\d{4} of \d+ objects", result.stderr)
    assert "objects and images per class" in result.stdout
    assert "stop" in result.stdout


def test_faults_exit_1_and_are_printed_and_written(workspace: Path) -> None:
    name = spoil(workspace / "signs")
    result = run("data", "check", "signs", "--html", "sheet.html", "--json", "faults.json")
    assert result.exit_code == 1
    assert re.search(rf"error: .*{name}: object 1 \(.*\) has no usable box", result.stderr)
    assert "signs has 2 errors" in result.stderr
    assert "anchors are not checked" in result.stderr
    assert "Traceback" not in result.output
    document = json.loads(Path("faults.json").read_text())
    assert document["errors"] == 2
    (inverted,) = (fault for fault in document["faults"] if fault["kind"] == "box-inverted")
    assert (Path(inverted["file"]).name, inverted["split"]) == (name, "train")
    assert inverted["object"].startswith("object 1 (")
    assert document["splits"]["train"]["images"] == 8
    assert Path("sheet.html").read_text().count("<figure>") >= 2


def test_chosen_splits_and_json_on_stdout(workspace: Path) -> None:
    spoil(workspace / "signs")
    result = run("data", "check", "signs", "--split", "val", "--json", "-")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["splits"]) == ["val"]


def test_the_limit_is_kept_and_the_way_to_see_more_is_said(workspace: Path) -> None:
    spoil(workspace / "signs")
    result = run("data", "check", "signs", "--limit", 1)
    assert len(re.findall("^(?:error|warning): ", result.stderr, flags=re.MULTILINE)) == 1
    assert re.search(r"and \d+ more; .*--limit \d+", result.stderr)


def test_values_that_are_no_numbers_are_still_json(workspace: Path) -> None:
    path = next(path for path in Path("signs/Annotations").iterdir() if "<xmin>" in path.read_text())
    path.write_text(re.sub(r"<xmin>[^<]*", "<xmin>nan", path.read_text(), count=1))
    run("data", "check", "signs", "--json", "faults.json")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    document = json.loads(Path("faults.json").read_text(), parse_constant=refuse)
    assert document["faults"][0]["box"][0] == "nan"


def test_stats_draws_a_bar(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[ProgressEvent] = []
    monkeypatch.setattr("ssd_edge.cli.data.bars", lambda: nullcontext(events.append))
    assert run("data", "stats", "signs").exit_code == 0
    assert events
    assert events[-1].is_over


def test_stats_equal_the_labels(workspace: Path) -> None:
    result = run("data", "stats", "signs", "--json", "-")
    assert result.exit_code == 0, result.output
    splits = json.loads(result.stdout)["splits"]
    listed = [path.read_text() for path in Path("signs/Annotations").iterdir()]
    assert sum(found["objects"] for found in splits.values()) == sum(text.count("<object>") for text in listed)
    assert splits["train"]["picture_sizes"] == {"128x96": 8}
    stops = sum(text.count("<name>stop</name>") for text in listed)
    assert sum(found["per_class"]["stop"] for found in splits.values()) == stops


def train(*options: str):
    fast = (
        "--preset",
        "ssd192-tiny",
        "--input-size",
        64,
        "--batch-size",
        4,
        "--workers",
        0,
        "--precision",
        "float32",
        "--epochs",
        1,
    )
    return run("train", "signs", *fast, *options)


def test_training_looks_at_its_data_first(workspace: Path) -> None:
    name = spoil(workspace / "signs")
    for options in (("--strict",), ("--max-bad", 0)):
        result = train("--name", "a", *options)
        assert result.exit_code == 1
        assert re.search(rf"{name}: object 1 .* has no usable box", result.stderr)
        assert "To see all errors: ssd-edge data check signs" in result.stderr
        assert not Path("runs/a/best.pt").exists()
    assert train("--strict", "--no-check").exit_code == 1


def test_training_goes_on_without_what_cannot_be_used(workspace: Path) -> None:
    name = spoil(workspace / "signs")
    for check in ("--check", "--no-check"):
        result = train("--name", check.strip("-"), check)
        assert result.exit_code == 0, result.output
        assert re.search(r"0 of 8 images and 1 of \d+ objects cannot be used and are left out", result.stderr)
        assert re.search(rf"{name}: object 1 .* has no usable box", result.stderr)


@pytest.mark.slow
def test_leakage_stops_training_unless_it_is_wanted(workspace: Path) -> None:
    lists = Path("signs/ImageSets/Main")
    (lists / "val.txt").write_text((lists / "train.txt").read_text())
    result = train("--name", "a")
    assert result.exit_code == 1
    assert "has the same image in two splits" in result.stderr
    result = train("--name", "b", "--no-check")
    assert result.exit_code == 0, result.output


def test_warnings_are_counted_and_default_boxes_judged_before_training(workspace: Path) -> None:
    stem = Path("signs/ImageSets/Main/train.txt").read_text().split()[0]
    other = Path("signs/ImageSets/Main/train.txt").read_text().split()[1]
    Path(f"signs/JPEGImages/{stem}.jpg").write_bytes(Path(f"signs/JPEGImages/{other}.jpg").read_bytes())
    result = train("--name", "a")
    assert result.exit_code == 0, result.output
    assert re.search(r"\d+ warnings? in the data; to list them: ssd-edge data check signs", result.stderr)
    assert re.search(r"the anchors match [01]\.\d{4} of \d+ objects at IoU 0\.5", result.stderr)


def test_a_folder_that_is_none_is_refused(workspace: Path) -> None:
    cv2.imwrite("photo.jpg", np.zeros((4, 4, 3), np.uint8))
    for command in ("check", "stats"):
        result = run("data", command, "nowhere")
        assert result.exit_code == 1
        assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["check", "stats"])
def test_a_data_set_that_is_not_there(command: str, tmp_path: Path) -> None:
    result = run("data", command, tmp_path / "nope")
    assert result.exit_code == 1
    assert "nope is not a folder: got nothing there; wanted a data set" in result.stderr
    assert isinstance(result.exception, SystemExit)  # a sentence, no traceback


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--preset", "ssd9000"), "there is no preset 'ssd9000'"),
        (("--preset", "ssd192-tiny", "--input-size", 65), "no anchors for this input size: got 65"),
        (("--priors", "nowhere.json"), "nowhere.json cannot be read"),
    ],
)
def test_default_boxes_that_are_not_there_are_named_before_the_pictures_are_looked_at(
    workspace: Path, options: tuple[object, ...], message: str
) -> None:
    result = run("data", "check", "signs", *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not result.stdout
