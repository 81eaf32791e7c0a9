"""OpenVINO alone: its devices, what it is told, what it keeps, and its errors as ours."""

from __future__ import annotations

import builtins
import dataclasses
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.openvino import compiled as module
from ssd_edge.backends.openvino.backend import OpenVinoBackend
from ssd_edge.backends.openvino.compiled import compile_bytes
from ssd_edge.backends.openvino.layers import executed_precisions
from ssd_edge.backends.openvino.module import Settings, check_device, core, device_named, load_openvino
from ssd_edge.core.choices import Precision
from ssd_edge.core.errors import ArtifactError, DeviceError, InputError, MissingPackageError
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.engines.build import build_engine
from ssd_edge.engines.openvino_build import OpenVinoBuilder
from tests.backends.tiny_onnx import SIZE

ONE = Threads(workers=1, per_worker=1)
BRIGHT = np.full((1, SIZE, SIZE, 3), 255, np.uint8)


@pytest.fixture
def engine(tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSD_EDGE_CACHE", str(tmp_path / "cache"))
    return build_engine(tiny_onnx, builder=OpenVinoBuilder(Precision.FP32)).engine


def blobs(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache/openvino").glob("*"))


@pytest.mark.parametrize(
    ("name", "found"),
    [(None, "CPU"), ("cpu", "CPU"), ("GPU", "GPU"), ("gpu:1", "GPU.1"), ("npu", "NPU"), ("auto", "AUTO")],
)
def test_devices_as_openvino_names_them(name: str | None, found: str) -> None:
    assert device_named(name) == found


@pytest.mark.parametrize("name", ["cuda", "cpu:1", "gpu:", "MULTI:CPU,GPU", ""])
def test_other_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not a device of OpenVINO"):
        device_named(name)


def test_a_device_that_is_not_here(engine: Path) -> None:
    with pytest.raises(DeviceError, match=r"OpenVINO finds no NPU on this machine: got CPU.*leave out --device"):
        OpenVinoBackend(engine, device="npu")


def test_a_float_type_that_the_device_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        available_devices = ("CPU",)

        def get_property(self, device: str, name: str) -> object:
            return ["FP32", "INT8"] if name == "OPTIMIZATION_CAPABILITIES" else "an old processor"

    monkeypatch.setattr("ssd_edge.backends.openvino.module.core", Old)
    check_device(Settings("CPU", Precision.INT8, ONE))
    for precision in (Precision.BF16, Precision.FP16):
        with pytest.raises(DeviceError, match="does not compute in b?f16: got an old processor"):
            check_device(Settings("CPU", precision, ONE))


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("device", ["CPU", "AUTO"])
def test_openvino_takes_what_it_is_told(engine: Path, device: str, precision: Precision) -> None:
    """And float32 stays that, also where the processor has bfloat16."""
    settings = Settings(device, precision, Threads(workers=2, per_worker=1))
    capabilities = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if {"bf16": "BF16", "f16": "FP16", "f32": "FP32"}[settings.float_type] not in capabilities:
        pytest.skip(f"this processor has no {settings.float_type}")
    compiled = compile_bytes(engine.read_bytes(), settings, engine)
    assert compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") == 2
    if device == "CPU":
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == settings.float_type


def test_auto_sees_what_the_processor_sees(engine: Path) -> None:
    with OpenVinoBackend(engine) as one, OpenVinoBackend(engine, device="auto") as other:
        for found, wanted in zip(other.infer(BRIGHT), one.infer(BRIGHT), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_what_is_compiled_is_kept_and_used_again(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not blobs(tmp_path)
    OpenVinoBackend(engine).close()
    (kept,) = blobs(tmp_path)
    monkeypatch.setattr(module, "compile_bytes", lambda *_: pytest.fail("compiled again"))
    with OpenVinoBackend(engine) as backend:
        assert backend.infer(BRIGHT).num_detections.tolist() == [[1]]
    assert blobs(tmp_path) == [kept]


def test_other_settings_are_compiled_anew(engine: Path, tmp_path: Path) -> None:
    for threads in (ONE, Threads(workers=2, per_worker=1)):
        OpenVinoBackend(engine, threads).close()
    assert len(blobs(tmp_path)) == 2


def test_a_damaged_cache_is_compiled_over(engine: Path, tmp_path: Path) -> None:
    OpenVinoBackend(engine).close()
    (kept,) = blobs(tmp_path)
    whole = kept.read_bytes()
    flipped = [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in range(99, len(whole), 4999)]
    assert flipped
    for damage in (b"", b"no model", whole[: len(whole) // 2], whole + b"more", *flipped[:3]):
        kept.write_bytes(damage)
        with OpenVinoBackend(engine) as backend:
            assert backend.infer(BRIGHT).num_detections.tolist() == [[1]]
        assert kept.read_bytes() != damage


def test_the_cache_keeps_what_was_used_last(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 2)
    folder = tmp_path / "cache/openvino"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.blob").write_bytes(b"")
        os.utime(folder / f"{number}.blob", (number, number))
    OpenVinoBackend(engine).close()
    assert len(blobs(tmp_path)) == 2
    assert blobs(tmp_path)[0].name == "2.blob"


def test_a_cache_that_cannot_be_written_is_done_without(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blocked").write_text("a file")
    monkeypatch.setenv("SSD_EDGE_CACHE", str(tmp_path / "blocked"))
    with OpenVinoBackend(engine) as backend:
        assert backend.infer(BRIGHT).num_detections.tolist() == [[1]]


def test_a_user_s_cache_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSD_EDGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert module.cache_folder() == tmp_path / "ssd-edge/openvino"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert module.cache_folder() == Path("/home/someone/.cache/ssd-edge/openvino")


def test_missing_openvino_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("openvino"):
            raise ImportError("No module named 'openvino'")
        return original(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match=r"pip install 'ssd-edge\[openvino\]'"):
        load_openvino()


def test_a_graph_that_openvino_refuses_is_named_without_its_source_lines(engine: Path) -> None:
    model = onnx.load(engine)
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ArtifactError, match=r"OpenVINO 20\d\d\.\S+ cannot run .*bright.*: got .*ArgMax") as caught:
        compile_bytes(model.SerializeToString(), Settings("CPU", Precision.FP32, ONE), engine)
    assert "Exception from" not in str(caught.value)


def test_outputs_other_than_the_contract_s_are_refused(engine: Path) -> None:
    """The manifest is of another model, and fits the file by its digest."""
    manifest = EngineManifest.load(manifest_path(engine))
    spec = dataclasses.replace(manifest.spec, nms=dataclasses.replace(manifest.spec.nms, keep_top_k=4))
    dataclasses.replace(manifest, spec=spec, engine_digest=file_digest(engine)).save(manifest_path(engine))
    with pytest.raises(
        ArtifactError,
        match=r"does not have the inputs and outputs of an ssd-edge model: .*\[1,3,4\].*wanted .*\[1,4,4\]",
    ):
        OpenVinoBackend(engine)


def test_nodes_that_were_not_fused_tell_what_they_compute_in(engine: Path) -> None:
    compiled = compile_bytes(engine.read_bytes(), Settings("CPU", Precision.FP32, ONE), engine)
    assert "fp32" in executed_precisions(compiled).values()
