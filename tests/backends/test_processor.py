"""What every runtime of a processor holds: the graph as it is, and engines that are refused anywhere else."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import open_backend, read_manifest_for_here
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.engines.build import build_engine
from ssd_edge.engines.processor import processor_builder
from tests.backends.tiny_onnx import FOUND_CLASS, KEPT, SCORE, SIZE, tiny_spec, write_tiny_onnx

TARGETS = [Target.ONNXRUNTIME, Target.OPENVINO]
FORMS = ["onnx", *TARGETS]


def image_of(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    return image


def form_of(onnx: Path, form: str) -> Path:
    return (
        onnx if form == "onnx" else build_engine(onnx, builder=processor_builder(Target(form), Precision.FP32)).engine
    )


@pytest.fixture(params=FORMS, ids=str)
def model(request: pytest.FixtureRequest, tiny_onnx: Path) -> Path:
    return form_of(tiny_onnx, request.param)


@pytest.fixture(params=TARGETS, ids=str)
def engine(request: pytest.FixtureRequest, tiny_onnx: Path) -> Path:
    return form_of(tiny_onnx, request.param)


@pytest.mark.parametrize("threads", [Threads.for_latency(2), Threads.for_throughput(2)])
def test_a_batch_gives_the_outputs_of_the_contract(model: Path, threads: Threads) -> None:
    batch = np.stack([image_of(8, 16, 24, 48), image_of(0, 0, 0, 0), image_of(0, 0, SIZE, SIZE)])
    with open_backend(model, threads) as backend:
        assert (backend.path, backend.spec) == (model, tiny_spec())
        assert (backend.workers, backend.batch_limits) == (threads.workers, (1, None))
        raw = backend.infer(batch)
    assert [array.dtype for array in raw] == [np.int32, np.float32, np.float32, np.float32]
    assert raw.num_detections.tolist() == [[1], [0], [1]]
    np.testing.assert_allclose(raw.boxes[:, 0], [[8 / 64, 16 / 64, 24 / 64, 48 / 64], [0, 0, 0, 0], [0, 0, 1, 1]])
    assert raw.boxes.shape == (3, KEPT, 4)
    assert raw.scores[:, 0].tolist() == [SCORE, 0, SCORE]
    assert raw.classes[0].tolist() == [FOUND_CLASS, -1, -1]


def test_workers_share_one_backend(model: Path) -> None:
    found: dict[int, list[float]] = {}
    with open_backend(model, Threads.for_throughput(4)) as backend:

        def work(left: int) -> None:
            found[left] = backend.infer(image_of(left, 0, SIZE, 8)[None]).boxes[0, 0].tolist()

        crew = [threading.Thread(target=work, args=(left,)) for left in range(16)]
        for worker in crew:
            worker.start()
        for worker in crew:
            worker.join()
    assert found == {left: [left / SIZE, 0, 1, 8 / SIZE] for left in range(16)}


def test_outputs_stay_as_they_were_when_the_next_image_is_inferred(model: Path) -> None:
    with open_backend(model) as backend:
        first = backend.infer(image_of(8, 0, SIZE, 8)[None])
        backend.infer(image_of(32, 0, SIZE, 8)[None])
    assert first.boxes[0, 0].tolist() == [8 / SIZE, 0, 1, 8 / SIZE]


def test_images_that_are_no_block_of_memory(model: Path) -> None:
    """Mirrored by a view, as programs do it."""
    mirrored = image_of(0, 0, 16, 8)[:, ::-1][None]
    with open_backend(model) as backend:
        assert backend.infer(mirrored).boxes[0, 0].tolist() == [48 / SIZE, 0, 1, 8 / SIZE]


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, SIZE, SIZE, 3), np.float32),
        np.zeros((SIZE, SIZE, 3), np.uint8),
        np.zeros((1, SIZE, SIZE + 1, 3), np.uint8),
        np.zeros((0, SIZE, SIZE, 3), np.uint8),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(model: Path, batch: np.ndarray) -> None:
    with (
        open_backend(model) as backend,
        pytest.raises(InputError, match=r"does not match the input of bright.*uint8 \(B >= 1, 64"),
    ):
        backend.infer(batch)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_graph_of_fixed_batch_says_so(tmp_path: Path, form: str) -> None:
    path = form_of(write_tiny_onnx(tmp_path / "two.onnx", batch=2), form)
    both = np.stack([image_of(8, 0, SIZE, 8), image_of(0, 0, 0, 0)])
    with open_backend(path) as backend:
        assert backend.batch_limits == (2, 2)
        assert backend.infer(both).num_detections.tolist() == [[1], [0]]
        with pytest.raises(InputError, match=r"takes 2 \w+ at a time: got 3"):
            backend.infer(np.zeros((3, SIZE, SIZE, 3), np.uint8))


def test_a_closed_backend_says_so(model: Path) -> None:
    backend = open_backend(model)
    backend.close()
    backend.close()
    with pytest.raises(ArtifactError, match="is closed"):
        backend.infer(image_of(0, 0, 1, 1)[None])


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("runtime_version", "1.2.3", r"got \w+ 1.2.3 on"),
        ("device", "aarch64+asimd", "on aarch64"),
    ],
)
def test_an_engine_of_another_machine_is_refused_with_the_command(
    engine: Path, tiny_onnx: Path, field: str, value: str, found: str
) -> None:
    manifest = dataclasses.replace(
        EngineManifest.load(manifest_path(engine)), precision=Precision.INT8, **{field: value}
    )
    manifest.save(manifest_path(engine))
    with pytest.raises(ArtifactError, match=f"was not built for this machine: .*{found}") as caught:
        open_backend(engine)
    target = " --target openvino" if manifest.target is Target.OPENVINO else ""
    assert str(caught.value).endswith(
        f"Build the engine again on this machine: ssd-edge build {tiny_onnx} --int8{target}"
    )


def test_a_changed_engine_is_refused(engine: Path) -> None:
    engine.write_bytes(engine.read_bytes() + b"\0")
    read_manifest_for_here(engine)
    with pytest.raises(ArtifactError, match="not the file that its manifest describes"):
        open_backend(engine)


def test_an_engine_without_manifest_is_refused(engine: Path) -> None:
    manifest_path(engine).unlink()
    with pytest.raises(ArtifactError, match="the manifest that was built with the engine"):
        open_backend(engine)


@pytest.mark.parametrize(("form", "device"), [("onnx", "gpu"), (Target.ONNXRUNTIME, "npu"), (Target.OPENVINO, "cuda")])
def test_a_device_that_a_runtime_has_not_is_refused(tiny_onnx: Path, form: str, device: str) -> None:
    with pytest.raises(InputError, match=rf"'{device}'.* wanted .*cpu"):
        open_backend(form_of(tiny_onnx, form), device=device)
