"""The NMS for Turing, which TensorRT-RTX gives no float32 matrix product."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd_edge.core.choices import NmsBody
from ssd_edge.core.errors import ArtifactError
from ssd_edge.doctor.sample_model import sample_frames
from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.engines.tensorrt.build import TrtBuilder
from ssd_edge.engines.tensorrt.network import with_nms
from ssd_edge.quantization.fp16 import to_half
from ssd_edge.quantization.qdq_tensorrt import quantize
from tests.quantization.fake_table import table_for
from tests.quantization.square_model import square_model


def products(model: onnx.ModelProto) -> int:
    return sum(node.op_type == "MatMul" for node in model.graph.node)


def test_nms_gives_the_same_bits() -> None:
    model, changed = (with_nms(square_model(), NmsBody.ROUNDS, 16, for_turing=turing) for turing in (False, True))
    assert (products(model), products(changed)) == (16, 0)
    images = np.stack([frame.image for frame in sample_frames(8, 5)])
    wanted, found = (
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, {"images": images})
        for each in (model, changed)
    )
    assert int(wanted[0].sum()) > 8
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-fp16"])
def test_tensorrt_rtx_builds_for_turing(tmp_path, monkeypatch, precision) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
    model = square_model()
    if precision.startswith("int8"):
        model = quantize(model, table_for(model))
    if precision.endswith("fp16"):
        model = to_half(model)
    builder = TrtBuilder("tensorrt-rtx", precision, TrtOptions(Batch(1, 4, 8), compute_capabilities=(75, 86)))
    builder.build(model, tmp_path / "a.engine")
    assert (tmp_path / "a.engine").stat().st_size > 100_000
    monkeypatch.setattr(
        "ssd_edge.engines.tensorrt.network.with_nms",
        lambda lowered, nms, rounds, **_: with_nms(lowered, nms, rounds),
    )
    with pytest.raises(ArtifactError, match=r"for Turing \(SM75\).*Remove 75 from --compute-capabilities"):
        builder.build(model, tmp_path / "b.engine")
