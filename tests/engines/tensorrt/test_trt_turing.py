from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.doctor.sample_model import sample_frames
from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.engines.tensorrt.build import TrtBuilder
from ssd_edge.engines.tensorrt.network import inline_function, without_matmul
from ssd_edge.quantization.fp16 import to_half
from ssd_edge.quantization.qdq_tensorrt import quantise
from tests.quantization.fake_table import table_for
from tests.quantization.square_model import square_model

PRODUCT = """
<ir_version: 8, opset_import: ["" : 17]>
product (float[2, 3, 4] a, float[2, 4, 5] b) => (float[2, 3, 5] y)
{ trips = Constant <value_ints: ints = [1]> ()
  go = Constant <value = bool[1] {1}> ()
  start = MatMul (a, b)
  y = Loop <body = body (int64[1] i, bool[1] c, float[2, 3, 5] before) => (bool[1] d, float[2, 3, 5] after)
    { d = Identity (c)
      inside = MatMul (a, b)
      after = Add (before, inside) }> (trips, go, start) }
"""


def products(graph: onnx.GraphProto) -> int:
    inner = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return sum(node.op_type == "MatMul" for node in graph.node) + sum(map(products, inner))


def outputs(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)


def test_a_product_inside_a_loop_is_a_sum_and_one_outside_stays() -> None:
    model = onnx.parser.parse_model(PRODUCT)
    onnx.checker.check_model(model, full_check=True)
    changed = without_matmul(model)
    onnx.checker.check_model(changed, full_check=True)
    assert (products(model.graph), products(changed.graph)) == (2, 1)
    generator = np.random.default_rng(0)
    feeds = {"a": generator.normal(size=(2, 3, 4)), "b": generator.normal(size=(2, 4, 5))}
    feeds = {name: value.astype(np.float32) for name, value in feeds.items()}
    wanted = 2 * (feeds["a"] @ feeds["b"])
    for variant in (model, changed):
        np.testing.assert_allclose(outputs(variant, feeds)[0], wanted, rtol=1e-5)


def test_nms_gives_the_same_bits() -> None:
    model = inline_function(square_model())
    changed = without_matmul(model)
    assert products(model.graph) > 0
    assert products(changed.graph) == 0
    pictures = np.stack([frame.image for frame in sample_frames(8, 5)])
    wanted, found = outputs(model, {"images": pictures}), outputs(changed, {"images": pictures})
    assert int(wanted[0].sum()) > 8
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-fp16"])
def test_tensorrt_rtx_builds_for_turing(tmp_path, monkeypatch, precision) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
    model = square_model()
    if precision.startswith("int8"):
        model = quantise(model, table_for(model))
    if precision.endswith("fp16"):
        model = to_half(model)
    builder = TrtBuilder("tensorrt-rtx", precision, TrtOptions(Batch(1, 4, 8), compute_capabilities=(75, 86)))
    builder.build(model, tmp_path / "a.engine")
    assert (tmp_path / "a.engine").stat().st_size > 100_000
    monkeypatch.setattr("ssd_edge.engines.tensorrt.network.without_matmul", lambda lowered: lowered)
    with pytest.raises(ArtifactError, match=r"for Turing \(SM75\).*Leave 75 out of --compute-capability"):
        builder.build(model, tmp_path / "b.engine")
