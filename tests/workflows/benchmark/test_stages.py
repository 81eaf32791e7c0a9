"""Where an image's time goes, of a model of each form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd_edge.backends.detector import open_detector
from ssd_edge.benchmarking.task import OURS, Task
from ssd_edge.core.images import read_image
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.timing import Timing
from ssd_edge.graph.cut import head_tensors
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.workflows.benchmark import stages
from ssd_edge.workflows.benchmark.config import BenchConfig
from ssd_edge.workflows.benchmark.entries import of_files
from ssd_edge.workflows.benchmark.prepare import write_heads
from ssd_edge.workflows.benchmark.stages import HEADS, measure_stages
from tests.exporting.models import lively_model
from tests.quantization.square_model import square_model, write_pictures, write_square_model


def task_of(model: Path, folder: Path) -> Task:
    return Task(OURS, str(model), tuple(map(str, write_pictures(folder / "images", 2))))


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Gives each call's result instead of its time, and times that are known."""
    results: dict[str, object] = {}
    known = {"whole": (10.0, 12.0, 30.0), "inference": (7.0, 8.0, 9.0)}

    def time_known(calls, **_: object) -> dict[str, Timing]:
        results.update({name: call() for name, call in calls.items()})
        return {name: Timing(known.get(name, (1.0, 2.0, 3.0))) for name in calls}

    monkeypatch.setattr(stages, "time_calls", time_known)
    return results


def test_a_checkpoint_has_the_stages_that_pytorch_has(tmp_path: Path, timed: dict[str, object]) -> None:
    save_checkpoint(tmp_path / "best.pt", lively_model("ssd192-tiny", input_size=64))
    task = task_of(tmp_path / "best.pt", tmp_path)
    assert measure_stages(task, 0.01) == {"decode": 2.0, "resize": 2.0, "inference": 8.0}
    image = read_image(Path(task.images[0]))
    np.testing.assert_array_equal(timed["decode"], image)
    from ssd_edge.workflows.load import load

    with load(tmp_path / "best.pt", device="cpu") as detector:
        np.testing.assert_array_equal(timed["resize"], detector.preprocess(image))
        wanted = detector.detect(image)
    assert len(wanted) > 0
    np.testing.assert_allclose(timed["inference"].boxes, wanted.boxes, atol=0.05)


def test_the_stages_of_an_onnx_are_those_of_its_detections(tmp_path: Path, timed: dict[str, object]) -> None:
    """The whole takes a median of 12 ms, and in pairs 4 ms more than up to the boxes and scores."""
    (entry,) = of_files([write_square_model(tmp_path / "squares.onnx")], BenchConfig(), (), 1)
    heads = write_heads(entry, tmp_path)
    task = task_of(tmp_path / "squares.onnx", tmp_path)
    found = measure_stages(Task(**{**vars(task), "settings": {HEADS: str(heads)}}), 0.01)
    assert found == {"decode": 2.0, "resize": 2.0, "inference": 8.0, "nms": 4.0, "output": 2.0}
    image = read_image(Path(task.images[0]))
    with open_detector(Path(task.model)) as detector:
        wanted = detector.detect(image)
        np.testing.assert_array_equal(timed["resize"], preprocess(image, detector.spec.input))
    assert len(wanted) > 0
    np.testing.assert_array_equal(timed["output"].boxes, wanted.boxes)
    assert timed["whole"].boxes.shape[0] == 1
    boxes, scores = timed["inference"]
    assert boxes.shape[:2] == scores.shape[:2]
    assert len(timed["inference"]) == len(head_tensors(square_model()))


def test_without_the_cut_graph_the_nms_is_part_of_the_inference(tmp_path: Path, timed: dict[str, object]) -> None:
    found = measure_stages(task_of(write_square_model(tmp_path / "squares.onnx"), tmp_path), 0.01)
    assert found == {"decode": 2.0, "resize": 2.0, "inference": 12.0, "output": 2.0}
    assert "inference" not in timed
