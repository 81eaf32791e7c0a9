"""How the model that labels is opened, and what a job writes down of it."""

from __future__ import annotations

import dataclasses
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ssd_edge.backends.cpu import cpu_device
from ssd_edge.core.choices import Target
from ssd_edge.core.errors import InputError
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.workflows.build.build import build
from ssd_edge.workflows.label_model import ModelOpener
from ssd_edge.workflows.load import load
from tests.exporting.models import lively_model, pictures
from tests.quantization.square_model import write_square_model


def test_a_checkpoint_is_opened_by_pytorch_where_it_is_asked_to_compute(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best.pt", lively_model("ssd192-tiny", input_size=64))
    opener = ModelOpener(str(tmp_path / "best.pt"), "cpu", 0.3)
    (image,) = pictures(1)
    with opener.open(2) as found, load(tmp_path / "best.pt", device="cpu", score_threshold=0.3) as wanted:
        assert found.score_threshold == 0.3
        assert len(found.detect(image)) > 0
        # The number of threads decides the order of sums, on some processors.
        np.testing.assert_allclose(found.detect(image).boxes, wanted.detect(image).boxes, rtol=1e-6, atol=1e-4)
    assert opener.runtime() == f"torch {metadata.version('torch')} on cpu"
    assert opener.device() == f"{cpu_device()}, cpu"


def test_an_exported_model_and_an_engine_name_their_runtime(tmp_path: Path) -> None:
    source = write_square_model(tmp_path / "squares.onnx")
    exported = ModelOpener(str(source))
    assert (exported.runtime(), exported.device()) == (f"onnxruntime {onnxruntime.__version__}", cpu_device())
    engine = build(source, target="onnxruntime", workspace=tmp_path).path
    assert ModelOpener(str(engine)).runtime() == f"onnxruntime {onnxruntime.__version__}"
    assert ModelOpener(str(engine)).device() == cpu_device()
    manifest = dataclasses.replace(
        EngineManifest.load(manifest_path(engine)),
        target=Target.TENSORRT, runtime="tensorrt", runtime_version="10.3.0", device="Orin sm_87",
    )  # fmt: skip
    manifest.save(manifest_path(engine))
    assert ModelOpener(str(engine)).runtime() == "tensorrt 10.3.0"
    assert ModelOpener(str(engine)).device() == "Orin sm_87", "the kind of GPU that it was built for"


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_a_threshold_is_refused_before_the_model_is_looked_for(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold"):
        ModelOpener("/absent.onnx", score_threshold=threshold).open(1)
