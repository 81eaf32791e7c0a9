from __future__ import annotations

import builtins
import dataclasses
import threading
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.ort import OrtBackend, cpu_device, read_manifest_for_cpu
from ssd_edge.core.errors import ArtifactError, InputError, MissingPackageError
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path
from tests.backends.tiny_onnx import FOUND_CLASS, KEPT, SCORE, SIZE, tiny_spec, write_tiny_onnx


def picture(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    return image


@pytest.fixture
def tiny_engine(tiny_onnx: Path, tmp_path: Path) -> Path:
    """The engine as the builder makes it: the graph that ONNX Runtime saves after its optimisation."""
    engine = tmp_path / "bright.fp32.onnxruntime.engine"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(engine)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(tiny_onnx), options, providers=["CPUExecutionProvider"])
    manifest = EngineManifest(
        spec=tiny_spec(),
        target="onnxruntime",
        precision="fp32",
        onnx=tiny_onnx.name,
        onnx_digest=file_digest(tiny_onnx),
        engine_digest=file_digest(engine),
        runtime="onnxruntime",
        runtime_version=onnxruntime.__version__,
        device=cpu_device(),
        batch=(1, 1, 4),
        built_at="2025-01-01T00:00:00+00:00",
    )
    manifest.save(manifest_path(engine))
    return engine


@pytest.mark.parametrize("kind", ["tiny_onnx", "tiny_engine"])
@pytest.mark.parametrize("threads", [Threads.for_latency(2), Threads.for_throughput(2)])
def test_a_batch_gives_the_outputs_of_the_contract(kind: str, threads: Threads, request: pytest.FixtureRequest) -> None:
    batch = np.stack([picture(8, 16, 24, 48), picture(0, 0, 0, 0), picture(0, 0, SIZE, SIZE)])
    with OrtBackend(request.getfixturevalue(kind), threads) as backend:
        assert backend.spec == tiny_spec()
        assert backend.workers == threads.workers
        raw = backend.infer(batch)
    assert raw.num_detections.dtype == np.int32
    assert raw.num_detections.tolist() == [[1], [0], [1]]
    np.testing.assert_allclose(raw.boxes[:, 0], [[8 / 64, 16 / 64, 24 / 64, 48 / 64], [0, 0, 0, 0], [0, 0, 1, 1]])
    assert raw.boxes.shape == (3, KEPT, 4)
    assert raw.scores[:, 0].tolist() == [SCORE, 0, SCORE]
    assert raw.classes[0].tolist() == [FOUND_CLASS, -1, -1]


def test_workers_share_one_backend(tiny_onnx: Path) -> None:
    found: dict[int, list[float]] = {}
    with OrtBackend(tiny_onnx, Threads.for_throughput(4)) as backend:

        def work(left: int) -> None:
            found[left] = backend.infer(picture(left, 0, SIZE, 8)[None]).boxes[0, 0].tolist()

        crew = [threading.Thread(target=work, args=(left,)) for left in range(16)]
        for worker in crew:
            worker.start()
        for worker in crew:
            worker.join()
    assert found == {left: [left / SIZE, 0, 1, 8 / SIZE] for left in range(16)}


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, SIZE, SIZE, 3), np.float32),
        np.zeros((SIZE, SIZE, 3), np.uint8),
        np.zeros((1, SIZE, SIZE + 1, 3), np.uint8),
        np.zeros((0, SIZE, SIZE, 3), np.uint8),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(tiny_onnx: Path, batch: np.ndarray) -> None:
    with OrtBackend(tiny_onnx) as backend, pytest.raises(InputError, match=r"does not fit bright.*uint8 \(B >= 1, 64"):
        backend.infer(batch)


def test_a_graph_of_fixed_batch_says_so(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "one.onnx", batch=1)
    with OrtBackend(path) as backend, pytest.raises(InputError, match="takes 1 pictures at a time: got 2"):
        backend.infer(np.zeros((2, SIZE, SIZE, 3), np.uint8))


def test_a_closed_backend_says_so(tiny_onnx: Path) -> None:
    backend = OrtBackend(tiny_onnx)
    backend.close()
    with pytest.raises(ArtifactError, match="is closed"):
        backend.infer(picture(0, 0, 1, 1)[None])


def test_a_foreign_onnx_is_refused_by_what_it_looks_like(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "foreign.onnx", with_spec=False)
    with pytest.raises(
        ArtifactError, match=r"not exported by ssd-edge: got images uint8 \(batch, 64, 64, 3\) -> num_"
    ) as it:
        OrtBackend(path)
    assert str(it.value).endswith(f"ssd-edge import {path}")


@pytest.mark.parametrize(("old", "new"), [("images", "input_0"), ("nmsed_scores", "scores")])
def test_other_names_break_the_contract(tiny_onnx: Path, old: str, new: str) -> None:
    model = onnx.load(tiny_onnx)
    for entry in [*model.graph.input, *model.graph.output]:
        entry.name = new if entry.name == old else entry.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    onnx.save(model, tiny_onnx)
    with pytest.raises(ArtifactError, match=rf"does not fulfil the graph contract: got .*{new}.*wanted .*{old}"):
        OrtBackend(tiny_onnx)


def test_rows_other_than_the_specs_break_the_contract(tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    spec = tiny_spec()
    spec = dataclasses.replace(spec, nms=dataclasses.replace(spec.nms, keep_top_k=KEPT + 1))
    onnx.helper.set_model_props(model, {"ssd_edge.spec": spec.to_json()})
    onnx.save(model, tiny_onnx)
    with pytest.raises(ArtifactError, match="with 4 rows"):
        OrtBackend(tiny_onnx)


def test_a_damaged_onnx_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("this is no model")
    with pytest.raises(ArtifactError, match=r"ONNX Runtime .* cannot run .*text\.onnx: got "):
        OrtBackend(path)


def test_a_missing_onnx_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.onnx cannot be read: got no such file"):
        OrtBackend(tmp_path / "absent.onnx")


def test_a_graph_that_fails_while_it_runs_is_named(tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    for constant in model.graph.initializer:
        if constant.name == "per_pixel":  # five values cannot be multiplied with the four corners
            constant.CopyFrom(onnx.numpy_helper.from_array(np.ones(5, np.float32), "per_pixel"))
    del model.graph.value_info[:]
    with pytest.raises(ArtifactError, match="cannot run"):
        onnx.save(model, tiny_onnx)
        OrtBackend(tiny_onnx).infer(picture(0, 0, 9, 9)[None])


def test_missing_onnxruntime_is_named(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("onnxruntime"):
            raise ImportError("No module named 'onnxruntime'")
        return original(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match="pip install onnxruntime"):
        OrtBackend(tiny_onnx)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("runtime_version", "1.2.3", "got onnxruntime 1.2.3 on"),
        ("device", "aarch64+asimd", "on aarch64"),
        ("target", "tensorrt", "got tensorrt"),
    ],
)
def test_an_engine_of_another_machine_is_refused_with_the_command(
    tiny_engine: Path, tiny_onnx: Path, field: str, value: str, found: str
) -> None:
    manifest = dataclasses.replace(EngineManifest.load(manifest_path(tiny_engine)), **{field: value})
    manifest.save(manifest_path(tiny_engine))
    with pytest.raises(ArtifactError, match="was not built for this machine") as caught:
        OrtBackend(tiny_engine)
    assert found in str(caught.value)
    assert str(caught.value).endswith(f"Rebuild it here: ssd-edge build {tiny_onnx}")


def test_a_changed_engine_is_refused(tiny_engine: Path) -> None:
    tiny_engine.write_bytes(tiny_engine.read_bytes() + b"\0")
    read_manifest_for_cpu(tiny_engine)
    with pytest.raises(ArtifactError, match="not the file that its manifest describes"):
        OrtBackend(tiny_engine)


def test_an_engine_without_manifest_is_refused(tiny_engine: Path) -> None:
    manifest_path(tiny_engine).unlink()
    with pytest.raises(ArtifactError, match="the manifest that was built with the engine"):
        OrtBackend(tiny_engine)
