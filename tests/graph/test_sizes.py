from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.limits import VARIABLE
from ssd_edge.graph.sizes import check_file, check_sizes
from tests.quantization.square_model import square_model

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 3, 64, 64] x) => (float[N, 3, 64, 64] y)'
HOSTILE = {
    "filled": "{ n = Constant <value = int64[1] {3000000000}> () big = ConstantOfShape (n) y = Add (x, big) }",
    "computed": """{ n = Constant <value = int64[1] {60000}> () m = Concat <axis = 0> (n, n)
        big = ConstantOfShape (m) s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
    "repeated": """{ n = Constant <value = int64[4] {1, 1, 20000, 20000}> () big = Tile (x, n)
        s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
    "expanded": """{ n = Constant <value = int64[3] {3000, 1000, 1000}> () one = Constant <value = float[1] {1}> ()
        big = Expand (one, n) s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
    "enlarged": """{ n = Constant <value = float[4] {1, 1, 3000, 3000}> () big = Resize <mode = "nearest"> (x, , n)
        s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
    "padded": """{ n = Constant <value = int64[8] {0, 0, 0, 0, 0, 0, 100000, 100000}> () big = Pad (x, n)
        s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_small_graph_of_a_huge_tensor_is_refused_before_it_is_made(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.onnx"
    onnx.save(onnx.parser.parse_model(f"{HEAD} {HOSTILE[kind]}"), path)
    began = time.process_time()
    with pytest.raises(ArtifactError, match=r"a\.onnx has a tensor that is too large: 'big': got \d{10,} bytes"):
        check_file(path)
    assert time.process_time() - began < 1


def test_a_sound_graph_passes_and_the_limit_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_sizes(square_model(), tmp_path / "a.onnx")
    monkeypatch.setenv(VARIABLE, "tensor=1k")
    with pytest.raises(ArtifactError, match="--limit tensor="):
        check_sizes(square_model(), tmp_path / "a.onnx")


def test_large_weights_are_weighed_and_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.parser.parse_model(f"{HEAD} {{ y = Add (x, w) }}")
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((3, 64, 64), np.float32), "w"))
    monkeypatch.setenv(VARIABLE, "tensor=49151")
    with pytest.raises(ArtifactError, match=r"too large: 'w': got 49152 bytes"):
        check_sizes(model, tmp_path / "a.onnx")
    monkeypatch.setenv(VARIABLE, "tensor=49152")
    check_sizes(model, tmp_path / "a.onnx")


INSIDE = """{ c = Constant <value = bool {1}> () y = If (c) <
        then_branch = t () => (float[N, 3, 64, 64] a) { d = Constant <value = bool {1}> ()
            a = If (d) <
                then_branch = tt () => (float[N, 3, 64, 64] b) { n = Constant <value = int64[1] {3000000000}> ()
                    big = ConstantOfShape (n) b = Add (x, big) },
                else_branch = te () => (float[N, 3, 64, 64] e) { e = Relu (x) }> },
        else_branch = e () => (float[N, 3, 64, 64] f) { f = Relu (x) }> }"""


def test_a_huge_tensor_in_a_branch_of_a_branch_is_refused(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(f"{HEAD} {INSIDE}")
    onnx.checker.check_model(model)
    with pytest.raises(ArtifactError, match=r"too large: '(big|b)': got \d{10,} bytes"):
        check_sizes(model, tmp_path / "a.onnx")
    check_sizes(onnx.parser.parse_model(f"{HEAD} {INSIDE}".replace("3000000000", "64")), tmp_path / "a.onnx")


@pytest.mark.parametrize("kind", [onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED, 99])
def test_elements_of_no_known_size_count_as_four_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    model = onnx.parser.parse_model(f"{HEAD} {{ y = Relu (x) }}")
    model.graph.initializer.add(name="w", dims=[3, 64, 64], data_type=kind)
    monkeypatch.setenv(VARIABLE, "tensor=49151")
    with pytest.raises(ArtifactError, match=r"too large: 'w': got 49152 bytes"):
        check_sizes(model, tmp_path / "a.onnx")
    monkeypatch.setenv(VARIABLE, "tensor=49152")
    check_sizes(model, tmp_path / "a.onnx")
