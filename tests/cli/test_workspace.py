from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.images import write_image
from ssd_edge.core.manifest import EngineManifest
from ssd_edge.core.runs import record_run
from ssd_edge.core.workspace_records import read_current
from ssd_edge.model.checkpoint import save_checkpoint
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.exporting.models import lively_model
from tests.quantization.square_model import write_square_model


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_init_makes_the_folders_and_keeps_what_is_there(workspace: Path) -> None:
    code, _, said = call("init", "signs")
    assert (code, said) == (
        0,
        "created signs/runs/, signs/calibration/, signs/engines/\nnext: cd signs && ssd-edge train path/to/images\n",
    )
    (workspace / "signs/runs/kept").mkdir()
    assert "signs is already a workspace" in call("init", "signs")[2]
    assert (workspace / "signs/runs/kept").is_dir()
    assert call("init")[0] == 0
    assert sorted(path.name for path in workspace.iterdir()) == ["calibration", "engines", "runs", "signs"]
    Path("file").write_text("x")
    code, _, said = call("init", "file")
    assert code == 1
    assert said.startswith("ssd-edge: file")


def test_runs_are_listed_with_what_they_are(workspace: Path) -> None:
    assert "no run in runs has a checkpoint" in call("runs")[2]
    model = lively_model("ssd192-tiny", input_size=64)
    for name, metrics in (("b", {"mean_ap": 0.75}), ("a", {})):
        save_checkpoint(Path(f"runs/{name}/best.pt"), model, metrics)
    record_run(Path("runs/b/best.pt"), "trained")
    record_run(Path("runs/a/best.pt"), "imported", "a.pth")
    Path("runs/broken").mkdir()
    Path("runs/broken/best.pt").write_bytes(b"x")
    code, shown, said = call("runs")
    assert code == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown.splitlines() if "│" in line]
    assert [row[:4] for row in rows] == [["a", "imported", "ssd192-tiny", "3"], ["b", "0.750", "ssd192-tiny", "3"]]
    assert "runs/broken/best.pt cannot be read" in said
    listed = json.loads(call("runs", "--json", "-")[1])
    assert [run["name"] for run in listed] == ["a", "b"]
    assert listed[1]["mean_ap"] == 0.75
    assert listed[1]["class_names"] == ["class 0", "class 1", "class 2"]


@pytest.fixture
def engines(workspace: Path) -> list[str]:
    write_square_model(workspace / "engines/squares/squares.onnx")
    names = ["first", "second"]
    for name in names:
        output = f"engines/squares/{name}.engine"
        assert call("build", "--target", "onnxruntime", "--output", output)[0] == 0
    return names


def taken(root: Path) -> str:
    """The engine that run takes below a folder."""
    os.chdir(root)
    write_image(Path("one.png"), np.zeros((64, 64, 3), np.uint8))
    code, _, said = call("run", "one.png", "--json", "boxes.jsonl", "--no-window")
    assert code == 0, said
    return next(line.split()[1].rstrip(",") for line in said.splitlines() if line.startswith("using "))


def test_a_pinned_engine_stays_until_it_is_unpinned(workspace: Path, engines: list[str]) -> None:
    assert taken(workspace) == "engines/squares/second.engine"
    code, _, said = call("use", "first")
    assert code == 0, said
    assert said.startswith("run uses engines/squares/first.engine: fp32 for onnxruntime on ")
    assert taken(workspace) == "engines/squares/first.engine"
    _, _, said = call("build", "--target", "onnxruntime", "--output", "engines/squares/third.engine")
    assert "run still uses engines/squares/first.engine (pinned)" in said
    assert taken(workspace) == "engines/squares/first.engine"
    assert call("use", "engines/squares/second.engine")[0] == 0
    assert taken(workspace) == "engines/squares/second.engine"
    code, _, said = call("use", "--newest")
    assert code == 0, said
    current = read_current(workspace)
    assert current is not None
    assert current.why == "built"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 1, "nothing is not an engine of this workspace: wanted first, second"),
        (
            ["squares"],
            1,
            "squares matches 2 engines: wanted one of engines/squares/first.engine, engines/squares/second",
        ),
        (["elsewhere/x.engine"], 1, "elsewhere/x.engine is not an engine of this workspace"),
        ([], 2, "give either an engine or --newest"),
        (["first", "--newest"], 2, "give either an engine or --newest"),
    ],
)
def test_what_is_no_engine_of_the_workspace(
    workspace: Path, engines: list[str], arguments: list[str], code: int, message: str
) -> None:
    shutil.copytree("engines/squares", "elsewhere")
    for name in engines:
        Path(f"elsewhere/{name}.engine").rename(f"elsewhere/{'x' if name == 'first' else 'y'}.engine")
    shutil.copy("engines/squares/first.json", "elsewhere/x.json")
    found, _, said = call("use", *arguments)
    assert found == code
    assert message in " ".join(said.split()).replace("│ ", "")


def test_the_only_engine_of_a_model_is_meant_by_the_models_name(workspace: Path) -> None:
    write_square_model(workspace / "engines/squares/squares.onnx")
    assert call("build", "--target", "onnxruntime", "--output", "engines/squares/first.engine")[0] == 0
    code, _, said = call("use", "squares")
    assert code == 0, said
    assert said.startswith("run uses engines/squares/first.engine: ")


def from_another_machine(engine: str) -> None:
    path = Path(engine).with_suffix(".json")
    dataclasses.replace(EngineManifest.load(path), device="an Orin").save(path)


def test_an_engine_of_another_machine_is_not_pinned(workspace: Path, engines: list[str]) -> None:
    from_another_machine("engines/squares/first.engine")
    code, _, said = call("use", "first")
    assert code == 1
    assert "engines/squares/first.engine was not built for this machine" in said
    assert "Build the engine again on this machine: ssd-edge build engines/squares/squares.onnx" in said
    assert taken(workspace) == "engines/squares/second.engine"
    code, _, said = call("use", "--newest")
    assert said.startswith("run uses engines/squares/second.engine: ")


def test_a_pin_stays_where_no_engine_can_take_its_place(workspace: Path, engines: list[str]) -> None:
    assert call("use", "first")[0] == 0
    for name in ("first", "second"):
        from_another_machine(f"engines/squares/{name}.engine")
    code, _, said = call("use", "--newest")
    assert code == 1
    assert "no engine can be used here: got engines/squares/first.engine, engines/squares/second.engine; " in said
    current = read_current(workspace)
    assert current is not None
    assert (current.why, current.engine) == ("pinned", "squares/first.engine")


@pytest.mark.parametrize("is_pinned", [False, True])
def test_run_never_takes_another_model_than_the_current_engines(workspace: Path, is_pinned: bool) -> None:
    write_tiny_onnx(workspace / "engines/bright/bright.onnx")
    write_square_model(workspace / "engines/squares/squares.onnx")
    for name in ("bright", "squares"):
        assert (
            call("build", f"engines/{name}/{name}.onnx", "--target", "onnxruntime", "-o", f"engines/{name}/e.engine")[0]
            == 0
        )
    if is_pinned:
        assert call("use", "engines/squares/e.engine")[0] == 0
    from_another_machine("engines/squares/e.engine")
    assert taken(workspace) == "engines/squares/squares.onnx"
    said = call("run", "one.png", "--json", "boxes.jsonl", "--no-window")[2]
    why = "pinned by ssd-edge use" if is_pinned else "built last"
    assert f"the current engine ({why}) cannot be used: engines/squares/e.engine was not built for this machine" in said
    Path("boxes.jsonl").unlink()
    Path("engines/squares/squares.onnx").unlink()
    code, _, said = call("run", "one.png", "--json", "boxes.jsonl", "--no-window")
    assert code == 1
    assert f"the current engine ({why}) cannot be used: got engines/squares/e.engine was not built" in said
    assert "Or use another: ssd-edge use engines/bright/e.engine" in said
    assert not Path("boxes.jsonl").exists()
    assert call("use", "engines/bright/e.engine")[0] == 0
    assert taken(workspace) == "engines/bright/e.engine"


def test_a_copied_workspace_runs_the_same_engine(workspace: Path, engines: list[str], tmp_path: Path) -> None:
    call("build", "--target", "onnxruntime", "--output", "engines/squares/first.engine")  # asked for last
    assert taken(workspace) == "engines/squares/first.engine"
    copy = tmp_path.parent / f"{tmp_path.name}-copy"
    shutil.copytree(workspace, copy, copy_function=shutil.copyfile)
    shuffled = random.Random(1)
    for path in copy.rglob("*"):
        os.utime(path, (shuffled.randrange(10**9),) * 2)
    assert taken(copy) == "engines/squares/first.engine"
    (copy / "engines/current.json").unlink()
    assert taken(copy) == "engines/squares/second.engine"  # by the manifests
