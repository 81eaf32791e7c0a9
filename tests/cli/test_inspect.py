from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import helper
from onnx import save as save_onnx
from typer.testing import CliRunner

from ssd_edge.backends.tensorrt.layers import EngineLayer, layers_path, save_layers
from ssd_edge.cli.app import app
from ssd_edge.core.choices import Precision
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineOptions
from ssd_edge.core.workspace_records import make_current
from ssd_edge.engines.build import build_engine, build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.ort_build import OrtBuilder
from ssd_edge.graph.source import read_onnx
from ssd_edge.quantization.qdq_ort import quantize as quantise_for_ort
from ssd_edge.quantization.qdq_tensorrt import quantize
from ssd_edge.quantization.sensitivity import LayerError, RankedLayers
from tests.core.factories import manifest
from tests.quantization.square_model import observed, square_model, table_of, write_square_model

NO_NUMBER = """{"format": "ssd-edge/sensitivity/1", "model": "signs", "onnx_digest": "sha256:0",
"layers": [{"name": "conv1", "error": NaN}]}"""


def run(*arguments: object):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def facts(path: Path) -> dict[str, object]:
    result = run(path, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_onnx_engine_and_manifest(tmp_path: Path) -> None:
    onnx = write_square_model(tmp_path / "squares.onnx")
    engine = build_engine(onnx).engine
    assert facts(onnx)["classes"] == ["red", "green", "blue"]
    assert facts(onnx)["layers"] == {"fp32 convolutions": 5}
    assert facts(engine)["runs here"] == "yes"
    assert facts(engine)["layers"] == {"fp32 convolutions": 5}
    assert facts(engine.with_suffix(".json"))["kind"] == "engine manifest"
    assert "anchors       512" in run(onnx).stdout


def write_tensorrt_engine(folder: Path, **changes: object) -> Path:
    """An engine that this machine cannot open, with its manifest."""
    engine = folder / "m.int8.tensorrt.engine"
    engine.write_bytes(b"plan")
    fields = {
        "target": "tensorrt", "runtime": "tensorrt", "runtime_version": "10.3.0", "device": "Orin sm_87",
        "precision": "int8", "engine_digest": file_digest(engine), **changes,
    }  # fmt: skip
    manifest(**fields).save(engine.with_suffix(".json"))
    return engine


def test_an_engine_that_cannot_be_opened_here(tmp_path: Path) -> None:
    engine = write_tensorrt_engine(tmp_path, options=EngineOptions(keep_float=("conv1", "conv9")))
    found = facts(engine)
    assert "built as int8, float layers: conv1 conv9; layers are unknown without TensorRT: " in str(found["layers"])
    assert "tensorrt is not installed" in str(found["layers"])
    assert str(found["runs here"]).startswith("no: tensorrt is not installed")


def test_the_layers_that_were_written_when_it_was_built(tmp_path: Path) -> None:
    engine = write_tensorrt_engine(tmp_path)
    layers = [EngineLayer("conv1 + relu1", "CaskConvolution", "int8"), EngineLayer("decode", "kgen", "fp32")]
    save_layers(engine, file_digest(engine), layers)
    for path in (engine, layers_path(engine)):
        assert facts(path)["layers"] == {"fp32 layers": 1, "int8 layers": 1}
        shown = run(path).stdout.splitlines()
        start = shown.index("each layer, as TensorRT reports it, when it was built")
        assert shown[start + 1 : start + 3] == [
            "  int8    CaskConvolution  conv1 + relu1", "  fp32    kgen             decode",
        ]  # fmt: skip
    engine.write_bytes(b"another")
    assert "m.int8.tensorrt.layers.json does not list the layers of" in run(layers_path(engine)).output


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({}, "tensorrt 10.3.0, on Orin sm_87"),
        ({"options": EngineOptions(nms="plugin")}, "tensorrt 10.3.0, NMS: plugin, on Orin sm_87"),
        ({"options": EngineOptions(version_compatible=True)}, "tensorrt 10.3.0 and later, on Orin sm_87"),
        ({"options": EngineOptions(hardware_compatible=True)}, "tensorrt 10.3.0, on every GPU from Ampere on"),
        ({"target": "tensorrt-rtx"}, "tensorrt 10.3.0, on every RTX GPU from Ampere on"),
        (
            {"target": "tensorrt-rtx", "options": EngineOptions(compute_capabilities=(75, 120))},
            "tensorrt 10.3.0, on GPUs of compute capability 75,120",
        ),
    ],
)
def test_what_an_engine_can_run_on(tmp_path: Path, changes: dict[str, object], where: str) -> None:
    assert facts(write_tensorrt_engine(tmp_path, **changes).with_suffix(".json"))["runs on"] == where


def test_table_and_set(tmp_path: Path) -> None:
    table_of(tmp_path).save(tmp_path / "m.ranges.json")
    _, chosen, _ = observed(tmp_path)
    chosen.save(tmp_path / "m.images.json")
    assert facts(tmp_path / "m.ranges.json")["tensors"] == 6
    assert facts(tmp_path / "m.images.json")["pictures"] == 8


def test_a_ranking_of_layers(tmp_path: Path) -> None:
    ranked = RankedLayers("signs", "sha256:0", (LayerError("conv2", 0.25), LayerError("conv1", 0.0125)))
    path = tmp_path / "signs.sensitivity.json"
    path.write_text(ranked.to_json())
    assert RankedLayers.load(path) == ranked
    assert facts(path)["model"] == "signs"
    assert [line.split() for line in run(path).stdout.splitlines()[-2:]] == [["0.2500", "conv2"], ["0.0125", "conv1"]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "x", "a.txt is not a file that ssd-edge wrote: got suffix '.txt'"),
        ("a.onnx", "x", "a.onnx"),
        ("a.json", "{}", "is not a manifest"),
        ("a.ranges.json", "{}", "is not a calibration table"),
        ("a.images.json", "{}", "is not a calibration set"),
        ("a.sensitivity.json", "{}", "is not a layer ranking"),
        ("a.sensitivity.json", NO_NUMBER, "is a damaged layer ranking: got an error that is not a number"),
        ("a.engine", "x", "a.json does not exist"),
        ("a.pt", "x", "a.pt"),
    ],
)
def test_what_it_is_not(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    result = run(tmp_path / name)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_record_of_the_workspace_is_told_for_what_it_is(tmp_path: Path) -> None:
    engine = build_engine(write_square_model(tmp_path / "engines/squares/squares.onnx")).engine
    make_current(tmp_path, engine, "built")
    result = run(tmp_path / "engines/current.json")
    assert result.exit_code == 1
    assert "engines/current.json is the workspace's record of the current engine" in result.output
    assert f"To see what it names: ssd-edge inspect {engine}" in result.output


def test_the_graph_of_an_engine_is_told_for_what_it_is(tmp_path: Path) -> None:
    onnx = write_square_model(tmp_path / "squares.onnx")
    lowered = quantize(square_model(), table_of(tmp_path / "observed"))
    save_onnx(lowered, tmp_path / "squares.int8.tensorrt.onnx")
    engine = build_engine(onnx).engine
    engine.rename(tmp_path / "renamed.onnx")
    assert facts(onnx)["kind"] == "ONNX"
    found = facts(tmp_path / "squares.int8.tensorrt.onnx")
    assert found["kind"] == "graph of an engine (INT8), not an exported model"
    assert found["layers"] == {"int8 convolutions": 5}
    assert found["runs on"] == "ONNX Runtime, for eval; engines are built from the exported model"
    found = facts(tmp_path / "renamed.onnx")
    assert found["kind"] == "graph of an engine (optimized by ONNX Runtime), not an exported model"
    assert found["NMS node"] == "none: NMS is written out in the graph"


def test_each_layer_of_an_engine_and_each_range_of_a_table(tmp_path: Path) -> None:
    source = read_onnx(write_square_model(tmp_path / "squares.onnx"))
    table = table_of(tmp_path / "observed")
    int8 = Lowered(quantise_for_ort(source.model, table, keep_float=frozenset({"conv2"})), Precision.INT8)
    engine = build_lowered(source, int8, OrtBuilder()).engine
    shown = [line.split() for line in run(engine).stdout.splitlines()]
    assert ["int8", "QLinearConv", "conv3"] in shown
    assert ["fp32", "Conv", "conv2"] in shown
    names = [line.split()[-1] for line in facts(tmp_path / "squares.onnx")["each layer"]]
    assert names == ["conv1", "conv2", "conv3", "logits", "offsets"]  # what --keep-float takes
    table.save(tmp_path / "m.ranges.json")
    ranges = run(tmp_path / "m.ranges.json").stdout
    assert all(line in ranges for line in table.ranges)
    assert f"{table.ranges['conv1.relu'].high:.4g}  conv1.relu" in ranges


def test_a_folder_names_what_it_holds(tmp_path: Path) -> None:
    write_square_model(tmp_path / "squares.onnx")
    (tmp_path / "notes.txt").write_text("x")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path} is a folder: wanted one file in it: squares.onnx" in result.output
    (tmp_path / "empty").mkdir()
    assert "empty is a folder: wanted a model, an engine or a calibration table" in run(tmp_path / "empty").output
    for number in range(10):
        (tmp_path / "empty" / f"{number}.onnx").touch()
    assert "6.onnx, 7.onnx and 2 more" in run(tmp_path / "empty").output


def test_an_engine_for_a_target_of_the_future(tmp_path: Path) -> None:
    result = run(write_tensorrt_engine(tmp_path, target="tensorrt-2"))
    assert result.exit_code == 1
    assert "m.int8.tensorrt.json is a damaged manifest: got Invalid enum value 'tensorrt-2'" in result.output
    assert "Build the engine again: ssd-edge build" in result.output


def test_nothing_there(tmp_path: Path) -> None:
    assert "does not exist" in run(tmp_path / "a.onnx").output


@pytest.mark.parametrize("options", [[], ["--json", "-"]])
def test_a_terminal_obeys_nothing_that_a_file_holds(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "a\x9b31m\x1b]0;x.onnx"
    model = helper.make_model(helper.make_graph([], "g", [], []))
    helper.set_model_props(model, {"note": "\x9d0;title\x07\x85"})
    onnx.save(model, path)
    result = CliRunner().invoke(app, ["inspect", str(path), *options])
    assert not set(result.output) & {"\x1b", "\x07", "\x85", "\x9b", "\x9d"}
