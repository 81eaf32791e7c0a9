"""A real TensorRT parser and builder takes what was imported, without a GPU."""

from __future__ import annotations

import onnx
import pytest

from ssd_edge.importing.graphs.import_onnx import import_onnx
from tests.importing.graphs.foreign_net import ForeignNet, pictures

pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")


def test_an_imported_graph_is_parsed_and_built_for_one_to_four_pictures(tmp_path):
    from tests.exporting.test_tensorrt_rtx import build

    import_onnx(ForeignNet().write(tmp_path), tmp_path / "ours.onnx", pictures(2))
    signature = build(onnx.load(tmp_path / "ours.onnx"), tmp_path)
    wanted = [(-1, 64, 64, 3), (-1, 1), (-1, 200, 4), (-1, 200), (-1, 200)]
    assert [shape for _, _, shape in signature] == wanted
