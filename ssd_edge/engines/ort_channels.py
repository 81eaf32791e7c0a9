"""Depthwise convolutions of an INT8 engine for ONNX Runtime, filled up to as many channels as its kernels take at once.

ONNX Runtime (MLAS, ``MlasConvSymPackWSize``) has a kernel for 8-bit depthwise convolutions that multiplies and rounds
in one go, for a multiple of 16 channels on x86 and of 8 on Arm. Others take a road of two passes, at half its speed:
72, 120, 184 and 200, in MobileNetV3. So the convolutions ahead of such a layer get outputs of weight 0, and those
behind it weights of 0 for them: what they put out is the same to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx

from ssd_edge.graph.editor import Graph, groups_of

WIDTH_X86, WIDTH_ARM = 16, 8
"""Channels that the kernels of 8 bits take at once."""

_OF_ONE_TENSOR = (
    "QuantizeLinear", "DequantizeLinear", "Relu", "Clip", "HardSigmoid", "HardSwish", "Sigmoid", "LeakyRelu",
    "GlobalAveragePool", "AveragePool", "MaxPool",
)  # fmt: skip
_OF_TWO_TENSORS = ("Add", "Mul")


def fill_channels(model: onnx.ModelProto, multiple: int) -> onnx.ModelProto:
    """Return a model whose 8-bit depthwise convolutions have a multiple of so many channels, where that is possible.

    It is where all that leads to them begins at plain convolutions of constant weights, and all that follows them ends
    at such; in between, no operator may join or move channels.
    """
    graph = Graph(model)
    done: set[int] = set()
    is_same = True
    for node in list(graph.nodes):
        if node.op_type == "Conv" and id(node) not in done and _is_depthwise(graph, node):
            width = _width(graph, node)
            channels = _Channels()
            if width % multiple and channels.follow(graph, node):
                channels.fill(graph, multiple - width % multiple)
                is_same = False
            done.update(id(entry) for entry in channels.depthwise)
    return model if is_same else graph.finished()


@dataclass
class _Channels:
    """The layers that share the channels of a depthwise convolution.

    Attributes:
        depthwise: those that keep them apart.
        makers: plain convolutions that they come out of.
        readers: plain convolutions that they go into.
    """

    depthwise: list[onnx.NodeProto] = field(default_factory=list)
    makers: list[onnx.NodeProto] = field(default_factory=list)
    readers: list[onnx.NodeProto] = field(default_factory=list)

    def follow(self, graph: Graph, node: onnx.NodeProto) -> bool:
        """Collect them; return whether all of them can be filled up."""
        kept = {entry.name for entry in graph.model.graph.output}
        waiting, seen = [node.input[0]], set[str]()
        while waiting:
            tensor = waiting.pop()
            if tensor in seen:
                continue
            seen.add(tensor)
            maker = graph.producer(tensor)
            if maker is None or tensor in kept:
                return False
            for entry in (maker, *graph.consumers(tensor)):
                shared = self._shared(graph, entry, tensor)
                if shared is None:
                    return False
                waiting += shared
        return all(_is_own(graph, entry) for entry in (*self.depthwise, *self.makers, *self.readers))

    def _shared(self, graph: Graph, node: onnx.NodeProto, tensor: str) -> list[str] | None:
        """Return the tensors of a node with the same channels as one of its own; None where it joins channels."""
        if node.op_type in _OF_ONE_TENSOR:
            return [node.input[0], node.output[0]] if tensor in (node.input[0], node.output[0]) else None
        if node.op_type in _OF_TWO_TENSORS:
            tensors = [name for name in node.input if name not in graph.constants]
            is_simple = all(graph.constants[name].size == 1 for name in node.input if name in graph.constants)
            return [*tensors, node.output[0]] if is_simple else None
        if node.op_type != "Conv" or tensor in node.input[1:]:
            return None
        if _is_depthwise(graph, node):
            _add(self.depthwise, node)
            return [node.input[0], node.output[0]]
        if groups_of(node) != 1:
            return None
        _add(self.makers if tensor == node.output[0] else self.readers, node)
        return []

    def fill(self, graph: Graph, missing: int) -> None:
        """Add channels that are 0 to them, of the last channel's scale: a bias has that of weight and input."""
        for node in (*self.makers, *self.depthwise):
            for name in _constants(graph, node):
                value = graph.constants[name]
                more = np.repeat(value[-1:], missing, axis=0)
                is_scale = name != node.input[1] and value.dtype.kind == "f"
                graph.constants[name] = np.concatenate([value, more if is_scale else np.zeros_like(more)])
        for node in self.readers:
            name = _constants(graph, node)[0]
            value = graph.constants[name]
            columns = np.zeros((len(value), missing, *value.shape[2:]), value.dtype)
            graph.constants[name] = np.concatenate([value, columns], axis=1)
        for node in self.depthwise:
            group = next(entry for entry in node.attribute if entry.name == "group")
            group.i += missing


def _constants(graph: Graph, node: onnx.NodeProto) -> list[str]:
    """Return the constants of a convolution, its weight first: what makes it of 8 bits counts for the weight."""
    found: list[str] = []
    for name in filter(None, node.input[1:]):
        maker = graph.producer(name)
        found += [name] if maker is None else maker.input
    return found


def _is_own(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether the weights of a convolution are constants that no other node reads."""
    makers = [graph.producer(name) for name in node.input[1:]]
    names = _constants(graph, node)
    return all(maker is None or maker.op_type == "DequantizeLinear" for maker in makers) and all(
        name in graph.constants and len(graph.consumers(name)) == 1 for name in names
    )


def _width(graph: Graph, node: onnx.NodeProto) -> int:
    return len(graph.constants[_constants(graph, node)[0]])


def _is_depthwise(graph: Graph, node: onnx.NodeProto) -> bool:
    weight = graph.constants.get(_constants(graph, node)[0])
    return weight is not None and weight.dtype.kind == "i" and groups_of(node) == len(weight) > 1 == weight.shape[1]


def _add(nodes: list[onnx.NodeProto], node: onnx.NodeProto) -> None:
    """Add a node that is not there yet; messages compare by value, what is meant is this very node."""
    if not any(entry is node for entry in nodes):
        nodes.append(node)
