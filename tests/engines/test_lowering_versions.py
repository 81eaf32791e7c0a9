"""The builders' versions, held to what they make of a graph: else a stale engine would be called already built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ssd_edge.backends import ort_session
from ssd_edge.core.choices import NmsBody
from ssd_edge.core.files import text_digest
from ssd_edge.engines import openvino_build, ort_build
from ssd_edge.engines.openvino_build import OpenVinoBuilder, openvino_graph
from ssd_edge.engines.ort_build import OrtBuilder, use_non_max_suppression
from ssd_edge.engines.ort_channels import fill_channels
from ssd_edge.engines.ort_stem import read_columns_together
from ssd_edge.engines.tensorrt import build as trt_build
from ssd_edge.engines.tensorrt.network import with_nms
from ssd_edge.quantization.qdq_ort import quantize
from tests.engines.test_ort_stem import bordered, stem
from tests.graph_digest import graph_digest
from tests.quantization.fake_table import table_for
from tests.quantization.gated_model import gated_model
from tests.quantization.square_model import square_model

RECORDED_ORT = {4: "sha256:7691f425e732f8bc14ff1f2b75578b18196bf0734f0bc993908ba052fccc6321"}
RECORDED_OPENVINO = {2: "sha256:7d6574bb01170aeaa41c4ac6f27b7f5ad95a8d2a11c9974f2e9cb7a77eb1bb28"}
RECORDED_TENSORRT = {5: "sha256:8dad1effc0deb41eb8843ed1aa7a3e47a138fa123c7e4f9b1dbb9c1e77c6da87"}


def plain_stem(**options: Any) -> onnx.ModelProto:
    """A first convolution whose weights are the same on every processor."""
    model = stem(**options)
    weight = next(entry for entry in model.graph.initializer if entry.name == "weight")
    values = np.arange(6 * 3 * 3 * 3).reshape(6, 3, 3, 3) % 127 - 63
    weight.CopyFrom(numpy_helper.from_array(values.astype(np.int8), "weight"))
    return model


def session_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """How ONNX Runtime is told to optimize and to write a graph, on any machine."""
    path = tmp_path / "squares.onnx"
    onnx.save(square_model(), path)
    seen: list[str] = []

    def made(model: object, options: Any, **others: object) -> None:
        spin = options.get_session_config_entry("session.intra_op.allow_spinning")
        seen.append(f"{options.graph_optimization_level} {spin} {sorted(others.items())}")

    monkeypatch.setattr("onnxruntime.InferenceSession", made)
    ort_session.open_session(path, threads=1, optimize=True, save_to=tmp_path / "squares.engine")
    return seen[0]


def test_the_version_of_onnx_runtime_s_builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    grouped = plain_stem()
    assert read_columns_together(grouped)
    framed = bordered(plain_stem(pads=(0, 0, 0, 0), strides=(1, 1)), (1, 1, 1, 1))
    assert read_columns_together(framed)
    lowered = graph_digest(use_non_max_suppression(square_model()))
    filled = graph_digest(fill_channels(quantize(gated_model(20), table_for(gated_model(20))), 16))
    options = session_options(monkeypatch, tmp_path)
    found = text_digest("\n".join([lowered, graph_digest(grouped), graph_digest(framed), filled, options]))
    assert RECORDED_ORT[ort_build.BUILDER_VERSION] == found, (
        "engines for ONNX Runtime are others than those of this version: "
        "bump BUILDER_VERSION in ssd_edge/engines/ort_build.py, and record the new digest here"
    )


def test_the_version_of_tensorrt_s_builder() -> None:
    graphs = [with_nms(square_model(), nms, 16) for nms in NmsBody]
    graphs.append(with_nms(square_model(), NmsBody.ROUNDS, 16, for_turing=True))
    found = text_digest("\n".join(graph_digest(graph) for graph in graphs))
    assert RECORDED_TENSORRT[trt_build.BUILDER_VERSION] == found, (
        "what TensorRT's parser gets is another graph than that of this version: "
        "bump BUILDER_VERSION in ssd_edge/engines/tensorrt/build.py, and record the new digest here"
    )


def test_the_version_of_openvino_s_builder() -> None:
    assert RECORDED_OPENVINO[openvino_build.BUILDER_VERSION] == graph_digest(openvino_graph(square_model())), (
        "engines for OpenVINO are others than those of this version: "
        "bump BUILDER_VERSION in ssd_edge/engines/openvino_build.py, and record the new digest here"
    )


def test_builders_say_their_versions() -> None:
    assert OpenVinoBuilder.builder_version == openvino_build.BUILDER_VERSION
    assert OrtBuilder.builder_version == ort_build.BUILDER_VERSION
    assert trt_build.TrtBuilder.builder_version == trt_build.BUILDER_VERSION
