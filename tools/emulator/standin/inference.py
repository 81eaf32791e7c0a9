"""What runs in place of an engine's kernels: ONNX Runtime, and the plugin behind it where the graph has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto

from tools.emulator.standin.nms_plugin import run_plugin
from tools.emulator.standin.releases import NMS_PLUGINS

NAMES = {
    TensorProto.FLOAT: "FLOAT", TensorProto.FLOAT16: "HALF", TensorProto.INT8: "INT8", TensorProto.INT32: "INT32",
    TensorProto.BOOL: "BOOL", TensorProto.UINT8: "UINT8", TensorProto.INT64: "INT64",
}  # fmt: skip


class Tensor:
    """An input or output: its name, its type as TensorRT calls it and as numpy does, its shape with -1 for free."""

    def __init__(self, info: onnx.ValueInfoProto, *, is_input: bool) -> None:
        kind = info.type.tensor_type
        self.name, self.is_input = info.name, is_input
        self.type = NAMES[kind.elem_type]
        self.dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        self.shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim)

    def size(self, batch: int) -> tuple[int, ...]:
        """Return the shape for a batch."""
        return (batch, *self.shape[1:])

    def bytes(self, batch: int) -> int:
        """Return the memory that a batch takes."""
        return int(np.prod(self.size(batch))) * self.dtype.itemsize


class Inference:
    """A graph with the outputs of the contract.

    Attributes:
        tensors: inputs, then outputs, by name and in order.
        layers: names of the nodes.
        has_loop: the graph has a Loop.
        computes_in: of each node INT8, HALF or FLOAT where it has weights, else nothing.
    """

    def __init__(self, content: bytes) -> None:
        model = onnx.load_model_from_string(content)
        graph = model.graph
        pairs = [*((entry, True) for entry in graph.input), *((entry, False) for entry in graph.output)]
        self.tensors = {entry.name: Tensor(entry, is_input=is_input) for entry, is_input in pairs}
        self.layers = [node.name or node.op_type for node in graph.node]
        self.has_loop = any(node.op_type == "Loop" for node in graph.node)
        self.computes_in = _types(graph)
        self._plugin = next((node for node in graph.node if node.op_type in NMS_PLUGINS), None)
        self._tail: onnxruntime.InferenceSession | None = None
        if self._plugin is not None:
            behind = _behind(model, self._plugin)
            self._tail = _session(behind) if behind.graph.output else None
            _cut(model, self._plugin)
        self._session = _session(model)
        self._wanted = [entry.name for entry in self._session.get_outputs()]

    def run(self, views: dict[str, Any]) -> None:
        """Read the inputs and write the outputs, arrays by tensor name."""
        given = {name: views[name] for name, tensor in self.tensors.items() if tensor.is_input}
        values = dict(zip(self._wanted, self._session.run(self._wanted, given), strict=True))
        if self._plugin is not None:
            found = run_plugin(self._plugin, *(values[name] for name in self._plugin.input))
            values = dict(zip(self._plugin.output, found, strict=True))
        if self._tail is not None:
            wanted = [entry.name for entry in self._tail.get_outputs()]
            given = {entry.name: values[entry.name] for entry in self._tail.get_inputs()}
            values.update(zip(wanted, self._tail.run(wanted, given), strict=True))
        for name, tensor in self.tensors.items():
            if not tensor.is_input:
                views[name][...] = values[name]


def _types(graph: onnx.GraphProto) -> list[str]:
    """Return what convolutions compute in: 8 bits where image and kernel are dequantized, else the kernel's type."""
    makers = {output: node.op_type for node in graph.node for output in node.output}
    weights = {entry.name: NAMES.get(entry.data_type, "") for entry in graph.initializer}
    return [
        ""
        if node.op_type != "Conv"
        else "INT8"
        if all(makers.get(name) == "DequantizeLinear" for name in node.input[:2])
        else weights.get(node.input[1], "")
        for node in graph.node
    ]


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _behind(model: onnx.ModelProto, plugin: onnx.NodeProto) -> onnx.ModelProto:
    """Return what reads the plugin's outputs, and all that this needs but the plugin itself."""
    nodes = list(model.graph.node)
    last = next(number for number, node in enumerate(nodes) if node.op_type == plugin.op_type)
    kinds = (TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT32)
    inputs = [
        onnx.helper.make_tensor_value_info(name, kind, None)
        for name, kind in zip(plugin.output, kinds, strict=True)
        if any(name in node.input for node in nodes)
    ]
    behind = nodes[last + 1 :]
    made = {name for node in behind for name in node.output}
    outputs = [entry for entry in model.graph.output if entry.name in made]
    graph = onnx.helper.make_graph(behind, "behind", inputs, outputs, list(model.graph.initializer))
    return onnx.helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)


def _cut(model: onnx.ModelProto, plugin: onnx.NodeProto) -> None:
    """Let the graph end before the plugin."""
    graph = model.graph
    del graph.node[next(number for number, node in enumerate(graph.node) if node.op_type == plugin.op_type) :]
    del graph.output[:]
    graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in plugin.input)
