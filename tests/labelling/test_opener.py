from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.errors import InputError
from ssd_edge.labelling.opener import ModelFacts
from ssd_edge.workflows.label_model import ModelOpener
from tests.backends.tiny_onnx import write_tiny_onnx


def facts_of(model: Path) -> ModelFacts:
    with open_detector(model, score_threshold=0.4) as detector:
        return ModelFacts.of(detector, ModelOpener(str(model)))


def test_a_job_takes_over_what_changes_its_rows(tmp_path: Path) -> None:
    facts = facts_of(write_tiny_onnx(tmp_path / "bright.onnx"))
    assert (facts.name, facts.class_names, facts.score_threshold) == ("bright", ("cat", "dog", "Fußgänger"), 0.4)
    assert facts.runtime.startswith("onnxruntime ")
    assert facts.opencv == cv2.__version__


def test_the_size_of_a_batch(tmp_path: Path) -> None:
    free = facts_of(write_tiny_onnx(tmp_path / "free.onnx"))
    three = facts_of(write_tiny_onnx(tmp_path / "fixed.onnx", batch=3))
    assert [free.batch_size(None), free.batch_size(5), three.batch_size(None)] == [8, 5, 3]
    with pytest.raises(InputError, match="cannot take a batch of 5"):
        three.batch_size(5)
