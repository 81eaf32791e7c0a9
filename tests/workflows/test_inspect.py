from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import InputError
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.engines.build import build_engine, build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.openvino_build import OpenVinoBuilder
from ssd_edge.graph.source import read_onnx
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.workflows.inspect import CheckpointFacts, EngineFacts, OnnxFacts, inspect
from tests.exporting.models import lively_model
from tests.quantization.square_model import table_of, write_square_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files")
    build_engine(write_square_model(root / "squares.onnx"))
    save_checkpoint(root / "best.pt", lively_model("ssd192-tiny", input_size=64))
    table_of(root / "observed").save(root / "squares.ranges.json")
    return root


@pytest.mark.parametrize(
    ("name", "kind", "facts"),
    [
        ("best.pt", "checkpoint", CheckpointFacts),
        ("squares.onnx", "onnx", OnnxFacts),
        ("squares.fp32.onnxruntime.engine", "engine", EngineFacts),
        ("squares.fp32.onnxruntime.json", "manifest", EngineManifest),
        ("squares.ranges.json", "table", CalibrationTable),
    ],
)
def test_each_kind_of_file_has_facts_of_its_own(
    folder: Path, name: str, kind: str, facts: type, capfd: pytest.CaptureFixture[str]
) -> None:
    result = inspect(folder / name)
    assert (result.path, result.kind, result.left_out) == (folder / name, kind, ())
    assert isinstance(result.facts, facts)
    assert capfd.readouterr() == ("", "")


def test_the_layers_of_a_graph_and_of_its_engine(folder: Path) -> None:
    graph, engine = inspect(folder / "squares.onnx"), inspect(folder / "squares.fp32.onnxruntime.engine")
    names = [layer.name for layer in graph.facts.layers]
    assert names == ["conv1", "conv2", "conv3", "logits", "offsets"]
    assert {layer.precision for layer in engine.facts.layers} == {"fp32"}
    assert (engine.facts.layers_from, engine.facts.refusal) == ("file", "")


def test_the_layers_of_an_engine_for_openvino_are_what_it_executes(tmp_path: Path) -> None:
    source = read_onnx(write_square_model(tmp_path / "squares.onnx"))
    lowered = Lowered(Lowering(Precision.INT8, Target.OPENVINO)(source.model, table_of(tmp_path / "observed")))
    engine = build_lowered(source, lowered, OpenVinoBuilder(Precision.INT8)).engine
    facts = inspect(engine).facts
    assert (facts.layers_from, facts.refusal) == ("openvino", "")
    assert [(layer.name, layer.precision) for layer in facts.layers] == [
        (name, "int8") for name in ("conv1", "conv2", "conv3", "logits", "offsets")
    ]
    manifest = EngineManifest.load(manifest_path(engine))
    dataclasses.replace(manifest, runtime_version="1.2.3").save(manifest_path(engine))
    elsewhere = inspect(engine).facts
    assert elsewhere.layers_from == "file"
    assert {layer.precision for layer in elsewhere.layers} == {"int8"}
    assert "was not built for this machine" in elsewhere.refusal


def test_an_engine_is_read_where_there_is_no_pytorch(folder: Path) -> None:
    script = (
        "import sys; from ssd_edge.workflows.inspect import inspect\n"
        f"inspect({str(folder / 'squares.fp32.onnxruntime.engine')!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.h5").touch()
    with pytest.raises(InputError, match="is not a file that ssd-edge wrote"):
        inspect(tmp_path / "a.h5")
