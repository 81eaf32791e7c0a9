"""The two halves of a model give, one after the other, what the whole gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.graph_contract import OUTPUT_NAMES
from ssd_edge.doctor.sample_model import sample_frames, sample_spec
from ssd_edge.engines.build import build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.ort_build import OrtBuilder, use_non_max_suppression
from ssd_edge.graph.cut import head_tensors, heads_only, nms_only
from ssd_edge.graph.source import read_onnx
from tests.quantization.square_model import square_model, write_square_model

CPU = ["CPUExecutionProvider"]


def run(model: onnx.ModelProto, fed: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
    return ort.InferenceSession(model.SerializeToString(), providers=CPU).run(names, fed)


@pytest.mark.parametrize("body", ["as exported", "of an engine"])
def test_heads_and_nms_make_the_whole(body: str) -> None:
    model, spec = square_model(), sample_spec()
    images = np.stack([frame.image for frame in sample_frames(3, 7)])
    tensors = head_tensors(model)
    cut = heads_only(model, tensors, spec)
    assert cut is not None
    onnx.checker.check_model(cut, full_check=True)
    tail = nms_only(model if body == "as exported" else use_non_max_suppression(model), spec.nms.keep_top_k)
    halves = run(tail, dict(zip(tensors, run(cut, {"images": images}, list(tensors)), strict=True)), list(OUTPUT_NAMES))
    whole = run(model, {"images": images}, list(OUTPUT_NAMES))
    assert whole[0].sum() > 3
    for half, full in zip(halves, whole, strict=True):
        np.testing.assert_array_equal(half, full)


def test_an_engine_for_onnx_runtime_keeps_the_tensors(tmp_path: Path) -> None:
    """What the bench cuts to find the NMS's share is the engine itself."""
    source = read_onnx(write_square_model(tmp_path / "squares.onnx"))
    engine = build_lowered(source, Lowered(source.model), OrtBuilder()).engine
    model = onnx.load(engine)
    tensors = head_tensors(source.model)
    cut = heads_only(model, tensors, source.spec)
    assert cut is not None
    assert "NonMaxSuppression" in {node.op_type for node in model.graph.node}
    assert "NonMaxSuppression" not in {node.op_type for node in cut.graph.node}
    image = next(iter(sample_frames(1, 7))).image[None]
    plain = heads_only(source.model, tensors, source.spec)
    assert plain is not None
    wanted = run(plain, {"images": image}, list(tensors))
    for mine, theirs in zip(run(cut, {"images": image}, list(tensors)), wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_what_cannot_be_cut_is_said() -> None:
    model = square_model()
    assert heads_only(model, ("elsewhere", "scores"), sample_spec()) is None
    headless = onnx.ModelProto()
    headless.CopyFrom(model)
    del headless.graph.node[-1]
    with pytest.raises(ArtifactError, match="no BatchedNMSDynamic_TRT"):
        head_tensors(headless)
