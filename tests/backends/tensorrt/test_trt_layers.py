from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd_edge.backends.tensorrt.layers import EngineLayer, layers_path, load_layers, parse_layers, save_layers
from ssd_edge.core.errors import ArtifactError

# As TensorRT's inspector writes them: 8.x in sentences, 10.x in words, 11 with the type apart from the layout.
CONVOLUTION_8 = {
    "Name": "conv1 + relu1",
    "LayerType": "CaskConvolution",
    "Inputs": [{"Name": "a", "Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}],
    "Outputs": [{"Name": "b", "Format/Datatype": "Row major linear FP32"}],
    "Weights": {"Type": "Int8", "Count": 864},
}
HALF_8 = {
    "Name": "Reformatting CopyNode for Input Tensor 0 to conv2",
    "LayerType": "Reformat",
    "Inputs": [{"Name": "b", "Format/Datatype": "Channel major FP16 format where channel % 4 == 0"}],
    "Outputs": [{"Name": "c", "Format/Datatype": "Row major linear FP32"}],
}
FUSED_10 = {
    "Name": "__myl_CastMulAdd_myl0_3",
    "LayerType": "kgen",
    "Inputs": [{"Name": "x", "Format/Datatype": "Half"}, {"Name": "y", "Format/Datatype": "Float"}],
    "Outputs": [{"Name": "z", "Format/Datatype": "Half"}],
}
DYNAMIC_10 = {
    "Name": "decode",
    "LayerType": "Slice",
    "Inputs": [{"Name": "x", "Format/Datatype": "N/A due to dynamic shapes"}],
    "Outputs": [{"Name": "y", "Format/Datatype": "Float"}],
}
PIXELS_10 = {"Name": "cast", "LayerType": "Cast", "Inputs": [{"Name": "images", "Format/Datatype": "UInt8"}]}
GEMM_11 = {
    "Name": "gemm",
    "LayerType": "MatrixMultiply",
    "Inputs": [{"Name": "x", "Format": "LINEAR", "Datatype": "BF16"}],
    "Outputs": [{"Name": "y", "Format": "LINEAR", "DataType": "FP32"}],
}
LISTED = {"Name": "shuffle", "LayerType": "Shuffle", "Inputs": ["x", "Half"], "Outputs": [{"Format/Datatype": "Int8"}]}
CONSTANT_11 = {"Name": "anchors", "LayerType": "Constant", "Inputs": [], "Outputs": []}


@pytest.mark.parametrize(
    ("layer", "kind", "precision"),
    [
        (CONVOLUTION_8, "CaskConvolution", "int8"),
        (HALF_8, "Reformat", "fp16"),
        (FUSED_10, "kgen", "fp16"),
        (DYNAMIC_10, "Slice", "fp32"),
        (PIXELS_10, "Cast", "uint8"),
        (GEMM_11, "MatrixMultiply", "bf16"),
        (CONSTANT_11, "Constant", "unknown"),
        (LISTED, "Shuffle", "int8"),  # a name is no type
    ],
)
@pytest.mark.parametrize("tensors", ["Bindings", "I/O Tensors"])
def test_a_layer_of_each_release(layer: dict[str, object], kind: str, precision: str, tensors: str) -> None:
    text = json.dumps({"Layers": [layer], tensors: ["images"]})
    assert parse_layers(text) == [EngineLayer(str(layer["Name"]), kind, precision)]


def test_names_alone_where_an_engine_was_built_without_details() -> None:
    assert parse_layers('{"Layers": ["conv1 + relu1"]}') == [EngineLayer("conv1 + relu1", "", "unknown")]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Layers": 7}', "no JSON"])
def test_what_is_no_inspector_s_answer(text: str) -> None:
    with pytest.raises(ArtifactError, match="the output of TensorRT's engine inspector cannot be read: got"):
        parse_layers(text)


def test_what_was_written_when_the_engine_was_built(tmp_path: Path) -> None:
    engine, layers = tmp_path / "m.int8.tensorrt.engine", [EngineLayer("conv1", "CaskConvolution", "int8")]
    assert load_layers(engine, "sha256:1") is None
    save_layers(engine, "sha256:1", layers)
    assert layers_path(engine).name == "m.int8.tensorrt.layers.json"
    assert load_layers(engine, "sha256:1") == layers
    assert load_layers(engine, "sha256:2") is None  # of an older engine
    for text in ("{", "[]", '{"format": "ssd-edge/layers/1", "engine_digest": "sha256:1", "layers": [{}]}'):
        layers_path(engine).write_text(text)
        assert load_layers(engine, "sha256:1") is None
