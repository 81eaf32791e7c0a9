"""The model repository, parsed into Triton's own configuration message and compared with the graph."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import onnx
import pytest

import ssd_edge as ssd
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.graph.source import read_onnx
from ssd_edge.packaging.triton import config_text

text_format = pytest.importorskip("google.protobuf.text_format")
messages = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="pip install 'tritonclient[grpc]'")
TYPES = {
    onnx.TensorProto.UINT8: "TYPE_UINT8",
    onnx.TensorProto.INT32: "TYPE_INT32",
    onnx.TensorProto.FLOAT: "TYPE_FP32",
}


def parsed(path: Path):
    return text_format.Parse(path.read_text(), messages.ModelConfig())


def signature(entries) -> list[tuple[str, str, list[int]]]:
    """Of a graph: name, type and shape without the batch."""
    found = []
    for entry in entries:
        tensor = entry.type.tensor_type
        found.append((entry.name, TYPES[tensor.elem_type], [axis.dim_value for axis in tensor.shape.dim][1:]))
    return found


def declared(entries) -> list[tuple[str, str, list[int]]]:
    return [(entry.name, messages.DataType.Name(entry.data_type), list(entry.dims)) for entry in entries]


@pytest.mark.parametrize(
    ("repository", "file"), [("onnxruntime", "onnxruntime/lively/1/model.onnx"), ("tensorrt", "build/model.onnx")]
)
def test_the_configuration_says_what_the_graph_is(packages: dict[str, Path], repository: str, file: str) -> None:
    folder = packages["triton"]
    config, graph = parsed(folder / repository / "lively" / "config.pbtxt"), onnx.load(folder / file).graph
    assert config.name == "lively"
    assert declared(config.input) == signature(graph.input)
    assert declared(config.output) == signature(graph.output)
    assert config.max_batch_size == 8
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param  # a free batch
    assert config.dynamic_batching.max_queue_delay_microseconds > 0
    assert {entry.batch_size for entry in config.model_warmup} == {1, 8}
    for entry in config.model_warmup:
        assert list(entry.inputs["images"].dims) == [64, 64, 3]


def test_each_repository_names_its_backend(packages: dict[str, Path]) -> None:
    assert parsed(packages["triton"] / "onnxruntime" / "lively" / "config.pbtxt").backend == "onnxruntime"
    assert parsed(packages["triton"] / "tensorrt" / "lively" / "config.pbtxt").platform == "tensorrt_plan"


def test_labels_of_any_kind_survive(exported: Path) -> None:
    spec = dataclasses.replace(read_onnx(exported).spec, class_names=('a "b"', "zone\\1", "größe", "人"))
    config = text_format.Parse(config_text(spec, 'backend: "onnxruntime"', 1), messages.ModelConfig())
    assert config.parameters["labels"].string_value.split("\n") == list(spec.class_names)
    assert len(config.model_warmup) == 1


def test_the_script_that_builds_a_plan_asks_trtexec_for_the_batches(copy_of, tmp_path: Path) -> None:
    folder = copy_of("triton")
    (folder / "tensorrt" / "lively" / "1").rmdir()  # as it comes out of the archive
    fake = tmp_path / "trtexec"
    fake.write_text('#!/bin/sh\necho "$@"\nfor a; do case $a in --saveEngine=*) : >"${a#*=}";; esac; done\n')
    fake.chmod(0o755)
    done = subprocess.run(
        [str(folder / "build" / "build-plan.sh"), "--builderOptimizationLevel=2"],
        env={"TRTEXEC": str(fake), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = done.stdout.splitlines()[0].split()
    assert {"--minShapes=images:1x64x64x3", "--optShapes=images:4x64x64x3", "--maxShapes=images:8x64x64x3"} <= {*words}
    assert words[-1] == "--builderOptimizationLevel=2"
    assert (folder / "tensorrt" / "lively" / "1" / "model.plan").is_file()


@pytest.fixture
def plan(exported: Path, tmp_path: Path) -> Path:
    """A file with the manifest of a TensorRT engine of the model."""
    source, path = read_onnx(exported), tmp_path / "m.engine"
    path.write_bytes(b"a plan")
    made = EngineManifest(
        spec=source.spec, target=ssd.Target.TENSORRT, precision=ssd.Precision.FP16, onnx="lively.onnx",
        onnx_digest=source.digest, engine_digest=file_digest(path), runtime="tensorrt", runtime_version="10.3.0",
        device="Orin sm_87", batch=(1, 2, 4), built_at="2026-11-30T12:00:00+00:00",
    )  # fmt: skip
    made.save(manifest_path(path))
    return path


def test_a_plan_takes_its_place(exported: Path, plan: Path, tmp_path: Path) -> None:
    made = ssd.package(
        exported, host="triton", engine=plan, image=exported.parent / "0.png", output=tmp_path / "with-plan"
    ).path
    assert (made / "tensorrt" / "lively" / "1" / "model.plan").read_bytes() == b"a plan"
    assert parsed(made / "tensorrt" / "lively" / "config.pbtxt").max_batch_size == 4
    assert not (made / "build").exists()
    assert "Orin sm_87, TensorRT 10.3.0" in (made / "README.md").read_text()


@pytest.mark.parametrize(
    ("field", "value"), [("target", ssd.Target.ONNXRUNTIME), ("onnx_digest", "sha256:" + "1" * 64)]
)
def test_another_plan_is_refused(exported: Path, plan: Path, tmp_path: Path, field: str, value: object) -> None:
    manifest = EngineManifest.load(manifest_path(plan))
    dataclasses.replace(manifest, **{field: value}).save(manifest_path(plan))
    image = exported.parent / "0.png"
    with pytest.raises(InputError):
        ssd.package(exported, host="triton", engine=plan, image=image, output=tmp_path / "p")
    assert not (tmp_path / "p").exists()
