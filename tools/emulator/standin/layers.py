"""ILayer: a node of the network and the types that it is told; and what TensorRT makes of it where it may choose."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper

from tools.emulator.standin.inference import NAMES
from tools.emulator.standin.releases import NMS_PLUGINS
from tools.emulator.standin.world import World

_KINDS = {
    "Conv": "CONVOLUTION", "Relu": "ACTIVATION", "Sigmoid": "ACTIVATION", "Softmax": "SOFTMAX", "TopK": "TOPK",
    "Constant": "CONSTANT", "Cast": "CAST", "QuantizeLinear": "QUANTIZE", "DequantizeLinear": "DEQUANTIZE",
    "MatMul": "MATRIX_MULTIPLY", "Reshape": "SHUFFLE", "Transpose": "SHUFFLE", "Concat": "CONCATENATION",
    "Shape": "SHAPE",
}  # fmt: skip
_WITHOUT = ("CONSTANT", "CAST", "QUANTIZE", "DEQUANTIZE", "SHAPE", "IDENTITY")


class LayerTensor:
    """A tensor between layers."""

    def __init__(self, name: str, dtype: Any) -> None:
        self.name, self.dtype = name, dtype


class ILayer:
    """One node; until 10.16 it can be told its types."""

    def __init__(self, world: World, node: onnx.NodeProto, types: dict[str, int]) -> None:
        self._world, self._node, self._types = world, node, types
        self._precision: Any = None
        self._outputs: dict[int, Any] = {}

    @property
    def name(self) -> str:
        return str(self._node.name or f"node_of_{self._node.output[0]}")

    @property
    def type(self) -> Any:
        known = self._world.module.LayerType.__members__
        name = "PLUGIN_V2" if self._node.op_type in NMS_PLUGINS else _KINDS.get(self._node.op_type, "ELEMENTWISE")
        return known[name if name in known else "IDENTITY"]

    @property
    def num_inputs(self) -> int:
        return len(self._node.input)

    @property
    def num_outputs(self) -> int:
        return len(self._node.output)

    def get_input(self, index: int) -> LayerTensor | None:
        return self._tensor(self._node.input[index])

    def get_output(self, index: int) -> LayerTensor | None:
        return self._tensor(self._node.output[index])

    def _tensor(self, name: str) -> LayerTensor | None:
        kind = NAMES.get(self._types.get(name, TensorProto.FLOAT), "FLOAT")
        known = self._world.module.DataType.__members__
        return LayerTensor(name, known.get(kind, known["FLOAT"])) if name else None

    def _check_weak(self, name: str) -> None:
        if self._world.release in ("11.4", "rtx"):
            raise AttributeError(f"'ILayer' object has no attribute {name!r}")

    @property
    def precision(self) -> Any:
        self._check_weak("precision")
        return self._precision or self._world.module.DataType.FLOAT

    @precision.setter
    def precision(self, value: Any) -> None:
        self._check_weak("precision")
        if self.type.name in _WITHOUT:
            self._world.device.fault(f"{self.name}: a layer of type {self.type.name} has no precision")
        self._precision = value

    def set_output_type(self, index: int, dtype: Any) -> None:
        self._check_weak("set_output_type")
        if self.get_output(index).dtype.name != dtype.name:  # type: ignore[union-attr]
            self._world.device.fault(f"{self.name}: output {index} is no {dtype.name}")
        self._outputs[index] = dtype


def layers_of(world: World, model: onnx.ModelProto) -> list[ILayer]:
    """Return the layers of a parsed graph."""
    types = tensor_types(model)
    return [ILayer(world, node, types) for node in model.graph.node]


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of each tensor, as far as ONNX can tell."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    entries = [*inferred.input, *inferred.value_info, *inferred.output]
    constants = {entry.name: entry.data_type for entry in inferred.initializer}
    return constants | {entry.name: entry.type.tensor_type.elem_type for entry in entries}


def chosen_half(layers: list[ILayer], flags: set[str], *, typed: bool) -> list[str]:
    """Return which layers TensorRT runs in half precision: all that compute in floats and that nothing forbids it."""
    if typed or "FP16" not in flags:
        return []
    heeds = bool(flags & {"OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"})
    return [
        layer.name
        for layer in layers
        if layer.type.name not in _WITHOUT
        and not (heeds and layer._precision is not None and layer._precision.name == "FLOAT")
        and any(tensor is not None and tensor.dtype.name == "FLOAT" for tensor in _around(layer))
    ]


def _around(layer: ILayer) -> list[LayerTensor | None]:
    return [layer.get_output(number) for number in range(layer.num_outputs)]


def run_in_half(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """Return the graph with what these nodes give rounded to half precision; what is too large becomes infinite."""
    types, chosen = tensor_types(model), set(names)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:]
    for node in model.graph.node:
        new = changed.graph.node.add()
        new.CopyFrom(node)
        if (node.name or f"node_of_{node.output[0]}") not in chosen or node.op_type in NMS_PLUGINS:
            continue
        for position, name in enumerate(node.output):
            if name and types.get(name) == TensorProto.FLOAT:
                new.output[position] = f"{name}^full"
                half = helper.make_node("Cast", [f"{name}^full"], [f"{name}^half"], to=TensorProto.FLOAT16)
                back = helper.make_node("Cast", [f"{name}^half"], [name], to=TensorProto.FLOAT)
                changed.graph.node.extend([half, back])
    return changed
