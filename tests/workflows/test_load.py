from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.backends.detector import Detector
from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.choices import Precision
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, InputError, MissingPackageError
from ssd_edge.core.images import list_images, read_image
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.engines.build import build_engine
from ssd_edge.engines.openvino_build import OpenVinoBuilder
from ssd_edge.engines.ort_build import OrtBuilder
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.workflows.build.build import build
from ssd_edge.workflows.export import export
from ssd_edge.workflows.load import TorchBackend, load
from tests.backends.tiny_onnx import SCORE, write_tiny_onnx
from tests.exporting.models import lively_model, pictures

SHARED = Path(__file__).parents[3] / "shared"
TRAINED = SHARED / "models" / "bccd-ssd300-mobilenet-v1.pt"
Forms = tuple[Path, Path, Path, Path]
NEAR = 1e-3  # of the threshold: there one runtime may see what another does not


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    """A checkpoint of random weights, its ONNX and its float32 engines."""
    folder = tmp_path_factory.mktemp("forms")
    checkpoint = folder / "runs" / "lively" / "best.pt"
    checkpoint.parent.mkdir(parents=True)
    save_checkpoint(checkpoint, lively_model("ssd192-tiny", input_size=64))
    return all_forms(checkpoint, folder)


def all_forms(checkpoint: Path, workspace: Path) -> Forms:
    onnx = export(checkpoint, workspace=workspace).path
    engines = (
        build_engine(onnx, builder=builder).engine for builder in (OrtBuilder(), OpenVinoBuilder(Precision.FP32))
    )
    return checkpoint, onnx, *engines


def test_a_checkpoint_is_closed_with_its_block(forms: Forms) -> None:
    with TorchBackend(forms[0], device="cpu", threads=1) as backend:
        side = backend.spec.input.height
        batch = np.zeros((1, side, side, 3), np.uint8)
        assert backend.infer(batch).boxes.shape[0] == 1
    with pytest.raises(ArtifactError, match=r"best\.pt is closed"):
        backend.infer(batch)


def assert_agree(one: Detections, other: Detections, threshold: float, size: tuple[int, int]) -> int:
    """Find each detection of the one in the other, by class and overlap; return their number."""
    clear = one[one.scores > threshold + NEAR]
    overlaps = iou_matrix(clear.boxes, other.boxes)
    overlaps[clear.class_ids[:, None] != other.class_ids[None]] = 0
    if not len(clear):
        return 0
    assert len(other)
    place = overlaps.argmax(axis=1)
    assert (clear.class_ids == other.class_ids[place]).all()
    apart = np.abs(clear.boxes - other.boxes[place]) / np.array([*size, *size])
    assert apart.max() <= 1e-3
    assert np.abs(clear.scores - other.scores[place]).max() <= 1e-4
    return len(clear)


def compare_forms(paths: Forms, images: list[np.ndarray], threshold: float | None) -> int:
    found: dict[tuple[Path, int], list[Detections]] = {}
    for path in paths:
        with load(path, score_threshold=threshold, threads=1) as detect:
            floor = detect.score_threshold
            found[path, 1] = [detect(image) for image in images]
            groups = [images[start : start + 8] for start in range(0, len(images), 8)]
            found[path, 8] = [each for group in groups for each in detect(group)]
    reference = found[paths[0], 1]
    compared = 0
    for others in found.values():
        for one, other, image in zip(reference, others, images, strict=True):
            size = image.shape[1], image.shape[0]
            compared += assert_agree(one, other, floor, size)
            assert_agree(other, one, floor, size)
    return compared


def test_all_forms_of_a_model_agree(forms: Forms) -> None:
    assert compare_forms(forms, pictures(10), 0.3) > 100


@pytest.mark.slow
@pytest.mark.skipif(not TRAINED.is_file(), reason="needs a trained model and its images")
def test_all_forms_of_a_trained_model_agree(tmp_path: Path) -> None:
    files = list_images(SHARED / "data" / "bccd" / "JPEGImages")[:50]
    assert compare_forms(all_forms(TRAINED, tmp_path), [read_image(path) for path in files], None) > 5000


@pytest.mark.parametrize("form", [0, 1, 2, 3])
def test_eight_threads_get_what_one_gets(forms: Forms, form: int) -> None:
    images = pictures(8)
    with load(forms[form]) as detect, ThreadPoolExecutor(8) as threads:
        alone = [detect(image) for image in images]
        for found in [*threads.map(detect, images * 4)], detect(images) * 4:
            for one, other in zip(alone * 4, found, strict=True):
                np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
                assert one.class_ids.tolist() == other.class_ids.tolist()


@pytest.mark.parametrize("form", [0, 1, 2, 3])
def test_what_is_known_and_what_is_closed(forms: Forms, form: int) -> None:
    detect = load(str(forms[form]), score_threshold=0.25)
    assert isinstance(detect, Detector)
    assert detect.path == forms[form]
    assert detect.class_names == ("class 0", "class 1", "class 2")
    assert detect.input_size == (64, 64)
    assert all(d.score > 0.25 and d.label.startswith("class ") for d in detect(pictures(1)[0]))
    detect.close()
    detect.close()
    with pytest.raises(ArtifactError, match="is closed"):
        detect(pictures(1)[0])


@pytest.mark.parametrize("form", [0, 1, 2, 3])
@pytest.mark.parametrize("array", [np.zeros((9, 9, 3)), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8)])
def test_every_form_refuses_the_same_arrays(forms: Forms, form: int, array: np.ndarray) -> None:
    with load(forms[form]) as detect, pytest.raises(InputError, match="is not an 8-bit BGR image"):
        detect(array)


def test_the_process_is_left_as_it_was(forms: Forms) -> None:
    import torch

    environment, threads, running = dict(os.environ), torch.get_num_threads(), threading.active_count()
    for path in forms:
        with load(path, threads=2) as detect:
            detect(pictures(1))
    assert (dict(os.environ), torch.get_num_threads()) == (environment, threads)
    assert threading.active_count() == running


def test_a_workspace_finds_its_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ssd_edge")
    with pytest.raises(InputError, match="wanted an exported model"):
        load(workspace=tmp_path)
    onnx = write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    with load(workspace=tmp_path) as detect:
        assert detect.path == onnx
        assert detect(np.full((9, 9, 3), 255, np.uint8))[0].score == SCORE
    engine = build_engine(onnx).engine
    with load(workspace=tmp_path) as detect:
        assert detect.path == engine
    assert any("no engine for this machine" in text for text in caplog.messages)


def test_an_engine_that_takes_no_single_image_is_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    onnx = write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    engine = build(onnx, target="onnxruntime", workspace=tmp_path).path
    record = EngineManifest.load(manifest_path(engine))
    dataclasses.replace(record, batch=(4, 4, 8)).save(manifest_path(engine))
    with load(workspace=tmp_path) as detect:
        assert detect.path == onnx
    wanted = f"the current engine (built last) cannot be used: {engine} takes no fewer than 4 images at a time"
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert warning.getMessage().startswith(wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score_threshold": 1.0}, "the score threshold is out of range"),
        ({"threads": 0}, "threads is out of range: got 0"),
        ({"threads": "4"}, "threads has the wrong type: got str '4'"),
        ({"score_threshold": "0.5"}, "the score threshold has the wrong type: got str '0.5'"),
        ({"device": "cuda"}, "runs on the CPU only: got device 'cuda'; wanted 'auto' or 'cpu'"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, object], message: str) -> None:
    onnx = write_tiny_onnx(tmp_path / "bright.onnx")
    with pytest.raises(InputError, match=message):
        load(onnx, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "cpu:1"])
def test_a_device_that_pytorch_does_not_find(forms: Forms, device: str) -> None:
    with pytest.raises(InputError, match=f"PyTorch finds no device '{device}'"):
        load(forms[0], device=device)


@pytest.mark.parametrize(("name", "message"), [("absent.onnx", "does not exist"), ("model.tflite", "is not a model")])
def test_other_files_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path / name)


def test_a_checkpoint_needs_pytorch_and_the_others_do_not(forms: Forms) -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from ssd_edge.core.errors import MissingPackageError\n"
        "from ssd_edge.workflows.load import load\n"
        "import numpy as np\n"
        "for path in sys.argv[2:]:\n"
        "    with load(path) as detect: detect(np.zeros((9, 9, 3), np.uint8))\n"
        "try: load(sys.argv[1])\n"
        "except MissingPackageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *map(str, forms)], capture_output=True, text=True, check=True)
    assert "best.pt is a checkpoint, which needs PyTorch" in done.stdout
    assert MissingPackageError.__name__ not in done.stderr
