"""The same build a second time: nothing is lowered, evaluated or timed again, and all that was measured is said."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.files import file_digest
from ssd_edge.core.workspace import newest_engine, newest_onnx
from ssd_edge.workflows.build import build as workflow
from tests.quantization.square_model import rescaled, square_model, write_labelled, write_pictures

ONNX = Path("engines/selftest/selftest.onnx")
ENGINE = Path("engines/selftest/selftest.int8.onnxruntime.engine")
GUARDED = ("--int8", "--data", "voc", "--max-drop", "1")


def run(*arguments: object):
    result = CliRunner().invoke(app, ["build", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def manifest() -> dict[str, object]:
    return json.loads(ENGINE.with_suffix(".json").read_text())


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network that INT8 harms, a table for it, and labelled images to evaluate it on."""
    monkeypatch.chdir(tmp_path)
    ONNX.parent.mkdir(parents=True)
    onnx.save(rescaled(square_model(), 2000), ONNX)
    write_pictures(tmp_path / "images", 18)
    write_labelled(tmp_path / "voc")
    monkeypatch.setattr("ssd_edge.engines.benchmark._ROUNDS", 2)
    run("--int8", "--images", "images", "-o", "engines/selftest/first.engine")
    return tmp_path


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Precisions that were lowered from now on."""
    seen: list[str] = []
    quantize = workflow.quantize

    def counted(source, config, *arguments, **options):
        seen.append(config.precision.value)
        return quantize(source, config, *arguments, **options)

    monkeypatch.setattr(workflow, "quantize", counted)
    return seen


def test_a_guarded_build_is_found_before_it_is_lowered(lowered: list[str]) -> None:
    first = run(*GUARDED)
    assert "0 layers in FP32 or FP16: mAP" in first.output
    kept = manifest()["options"]["keep_float"]
    assert kept
    stamp = ENGINE.read_bytes()
    again = run(*GUARDED)
    assert lowered == ["int8"]
    assert "layers in FP32 or FP16: mAP" not in again.output
    assert f"already built {ENGINE}" in again.output
    judged = next(line for line in again.output.splitlines() if line.startswith("accuracy as measured earlier: mAP"))
    assert f"mAP {manifest()['accuracy']['map_50_float']:.4f} in FP32" in judged
    assert f"in FP32 or FP16: {', '.join(kept)}" in again.output
    assert "times as measured earlier: int8 is" in again.output
    assert ENGINE.read_bytes() == stamp


def edit_label(folder: Path) -> None:
    path = next((folder / "voc/Annotations").iterdir())
    path.write_text(path.read_text().replace("<difficult>0", "<difficult>1"))


def edit_picture(folder: Path) -> None:
    path = next((folder / "voc/JPEGImages").iterdir())
    cv2.imwrite(str(path), 255 - cv2.imread(str(path)))


def edit_engine(folder: Path) -> None:
    ENGINE.write_bytes(ENGINE.read_bytes() + b"x")


def edit_table(folder: Path) -> None:
    assert CliRunner().invoke(app, ["calibrate", "--method", "minmax"]).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("edit", [edit_label, edit_picture, edit_engine, edit_table])
def test_what_it_is_made_of_has_changed(workspace: Path, lowered: list[str], edit) -> None:
    run(*GUARDED)
    edit(workspace)
    run(*GUARDED)
    assert lowered == ["int8", "int8"]


@pytest.mark.parametrize(
    "options",
    [
        ("--int8", "--data", "voc", "--max-drop", "2"),
        ("--int8", "--data", "voc"),
        (*GUARDED, "--keep-float", "conv2"),
        (*GUARDED, "--refine"),
        (*GUARDED, "--force"),
    ],
)
def test_what_is_asked_for_has_changed(lowered: list[str], options: tuple[str, ...]) -> None:
    run(*GUARDED)
    run(*options)
    assert lowered == ["int8", "int8"]
    if "--force" not in options:
        run(*options)
        assert lowered == ["int8", "int8"]


def test_another_version_of_the_lowering_is_lowered_again(lowered: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run("--int8")
    monkeypatch.setattr(workflow, "LOWERING_VERSION", 0)
    again = run("--int8")
    assert lowered == ["int8", "int8"]
    assert "already built" in again.output  # it gave the very same graph


def test_another_version_of_the_builder_builds_again(lowered: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run("--int8")
    monkeypatch.setattr("ssd_edge.engines.ort_build.OrtBuilder.builder_version", 0)
    assert "already built" not in run("--int8").output
    assert "already built" in run("--int8").output


def test_a_data_set_may_be_moved(workspace: Path, lowered: list[str]) -> None:
    run(*GUARDED)
    (workspace / "voc").rename(workspace / "elsewhere")
    run("--int8", "--data", "elsewhere", "--max-drop", "1")
    assert lowered == ["int8"]


def test_an_engine_is_judged_later_without_being_built_again(lowered: list[str]) -> None:
    run("--int8")
    stamp = file_digest(ENGINE)
    judged = run("--int8", "--data", "voc")
    assert "points lost" in judged.output
    assert "already built" in judged.output
    again = run("--int8", "--data", "voc")
    assert "accuracy as measured earlier: mAP" in again.output
    assert "accuracy as measured earlier: mAP" in run("--int8").output  # it is the same engine, whoever asks
    assert lowered == ["int8", "int8"]
    assert file_digest(ENGINE) == stamp


def test_an_accuracy_that_cannot_be_kept_leaves_the_old_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    run("--int8")
    before = ENGINE.read_bytes(), manifest()
    monkeypatch.setattr("ssd_edge.workflows.build.accuracy.AccuracyChecker.map_float", 2.0)
    result = CliRunner().invoke(app, ["build", "--int8", "--data", "voc", "--max-drop", "0.5", "--force"])
    assert result.exit_code == 1
    assert "INT8 loses too much mAP, even with every convolution in FP32 or FP16" in result.output
    assert (ENGINE.read_bytes(), manifest()) == before


def test_the_engine_that_was_asked_for_last_is_the_newest(lowered: list[str]) -> None:
    run("--int8")
    run()
    assert newest_engine(Path()).path.name == "selftest.fp32.onnxruntime.engine"
    run("--int8")
    assert newest_engine(Path()).path == ENGINE
    assert lowered == ["int8", "fp32"]


@pytest.mark.parametrize("options", [GUARDED, (*GUARDED, "--refine"), ("--int8", "--keep-float", "conv2"), ()])
def test_the_graph_of_an_engine_that_is_there(
    lowered: list[str], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    run(*options)
    monkeypatch.setattr("ssd_edge.workflows.build.accuracy.AccuracyChecker.mean_ap", None)  # evaluating takes hours
    engine = ENGINE if options else ENGINE.with_name("selftest.fp32.onnxruntime.engine")
    graph = engine.with_suffix(".onnx")
    kept = run(*options, "--keep-graph")
    assert f"wrote the graph: {graph}" in kept.output
    assert "already built" in kept.output
    assert file_digest(graph) == json.loads(engine.with_suffix(".json").read_text())["graph_digest"]
    count = len(lowered)
    assert f"the graph already exists: {graph}" in run(*options, "--keep-graph").output
    assert len(lowered) == count
    graph.write_bytes(b"another")
    assert f"wrote the graph: {graph}" in run(*options, "--keep-graph").output


def test_a_graph_that_is_no_longer_that_of_the_engine_is_not_written() -> None:
    run("--int8", "--keep-graph")
    graph, manifest = ENGINE.with_suffix(".onnx"), ENGINE.with_suffix(".json")
    graph.unlink()
    fields = json.loads(manifest.read_text())
    fields["graph_digest"] = "sha256:" + "1" * 64
    manifest.write_text(json.dumps(fields))
    result = CliRunner().invoke(app, ["build", "--int8", "--keep-graph"])
    assert result.exit_code == 1
    assert "converting the model again gives a different graph" in result.output
    assert "add --force" in result.output
    assert not graph.exists()
    assert f"wrote the graph: {graph}" in run("--int8", "--keep-graph", "--force").output


def test_the_graph_lies_beside_the_engine_that_is_written() -> None:
    result = run("--keep-graph", "-o", "elsewhere/fast.engine")
    assert "wrote the graph: elsewhere/fast.onnxruntime.onnx" in result.output
    assert sorted(path.name for path in Path("elsewhere").iterdir()) == [
        "fast.engine", "fast.json", "fast.onnxruntime.onnx",
    ]  # fmt: skip


def test_the_graph_never_takes_the_place_of_the_exported_model() -> None:
    run("--keep-graph", "-o", "engines/selftest/selftest.engine")
    assert Path("engines/selftest/selftest.onnxruntime.onnx").is_file()
    assert newest_onnx(Path()).path == ONNX
    named = Path("engines/selftest/x.onnxruntime.onnx")
    named.write_bytes(ONNX.read_bytes())
    before = named.read_bytes()
    result = CliRunner().invoke(app, ["build", str(named), "--keep-graph", "-o", "engines/selftest/x.engine"])
    assert result.exit_code == 1
    assert f"--keep-graph would overwrite {named}. Choose another name for the engine with --output." in result.output
    assert named.read_bytes() == before
