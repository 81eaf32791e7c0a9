from __future__ import annotations

import onnx
import pytest
import torch

from ssd_edge.exporting.export_onnx import onnx_model
from ssd_edge.model.checkpoint import save_checkpoint
from tests.exporting.models import lively_model

torch.set_num_threads(1)  # the tests themselves run side by side

DIGEST = "sha256:" + "0" * 64


@pytest.fixture(scope="session")
def tiny_model():
    return lively_model("ssd192-tiny", input_size=64)


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "best.pt"
    save_checkpoint(path, tiny_model)
    return path


@pytest.fixture(scope="session")
def tiny_onnx(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    onnx.save(onnx_model(tiny_model, DIGEST), path)
    return path
