"""The one editor of ONNX: what every room uses that changes a graph.

:class:`Graph` can be asked who makes and who reads a tensor, and be rewired; it makes initializers of all constants and
puts the nodes in order. Where a graph must stay as it is but for one place, the functions below it do the steps: copy,
replace, list constants, drop what nothing reads. :class:`Steps` writes new nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ssd_edge.core.errors import ArtifactError

Array = np.ndarray[Any, Any]

ACTIVATIONS = ("Relu", "Clip")


class Graph:
    """A copy of a model with an index of its tensors; :meth:`finished` gives the model back.

    Constants become initializers, so that there is one kind of constant.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = copied(model)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {
            entry.name: numpy_helper.to_array(entry) for entry in self.model.graph.initializer
        }
        for node in self.model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                self.nodes.append(node)
        self._index()

    def _index(self) -> None:
        self._producers = {output: node for node in self.nodes for output in node.output}
        self._consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            self._note_reader(node)

    def _note_reader(self, node: onnx.NodeProto) -> None:
        for name in node.input:
            self._consumers.setdefault(name, []).append(node)

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """Return the node that makes a tensor; None for inputs and constants."""
        return self._producers.get(tensor)

    def consumers(self, tensor: str) -> list[onnx.NodeProto]:
        """Return the nodes that read a tensor."""
        return self._consumers.get(tensor, [])

    def add(self, node: onnx.NodeProto) -> str:
        """Add a node and return its first output; the order is fixed at the end."""
        self.nodes.append(node)
        for output in node.output:
            self._producers[output] = node
        self._note_reader(node)
        return str(node.output[0])

    def constant(self, name: str, value: Array) -> str:
        """Add a constant and return its name; one of the same name must hold the same."""
        held = self.constants.setdefault(name, value)
        if held.dtype != value.dtype or not np.array_equal(held, value):
            raise ArtifactError(f"the graph already has a tensor named {name}", do="Export the model again.")
        return name

    def replace(self, node: onnx.NodeProto, nodes: Sequence[onnx.NodeProto]) -> None:
        """Put other nodes in the place of one; the last of them makes its output."""
        place = next(number for number, entry in enumerate(self.nodes) if entry is node)
        self.nodes[place : place + 1] = nodes
        self._index()

    def rewire(self, node: onnx.NodeProto, position: int, tensor: str) -> None:
        """Let input ``position`` of a node read another tensor."""
        before = node.input[position]
        node.input[position] = tensor
        if before not in node.input:
            # Messages compare by value; what is meant is this very node.
            self._consumers[before] = [reader for reader in self._consumers[before] if reader is not node]
        self._consumers.setdefault(tensor, []).append(node)

    def redirect(self, tensor: str, replacement: str, *, keep: onnx.NodeProto | None = None) -> None:
        """Let every reader of a tensor, but ``keep``, read the replacement."""
        for node in list(self.consumers(tensor)):
            if node is not keep:
                for position, name in enumerate(node.input):
                    if name == tensor:
                        self.rewire(node, position, replacement)

    def activated(self, node: onnx.NodeProto) -> str:
        """Return a node's output behind the ReLU or clip that alone reads it."""
        tensor = node.output[0]
        readers = self.consumers(tensor)
        if len(readers) == 1 and readers[0].op_type in ACTIVATIONS:
            tensor = readers[0].output[0]
        return str(tensor)

    def weighted(self, *op_types: str) -> Iterator[onnx.NodeProto]:
        """Yield the nodes of these types whose weight is a constant, in order."""
        for node in self.nodes:
            if node.op_type in op_types and len(node.input) > 1 and node.input[1] in self.constants:
                yield node

    def drop_unread(self) -> None:
        """Take out the nodes that nothing reads any more."""
        kept = {entry.name for entry in self.model.graph.output}
        while True:
            read = kept | {name for node in self.nodes for name in _all_inputs(node)}
            living = [node for node in self.nodes if read.intersection(node.output)]
            if len(living) == len(self.nodes):
                break
            self.nodes = living
        self._index()

    def finished(self) -> onnx.ModelProto:
        """Return the model with its nodes in order, without nodes and constants that nothing reads."""
        graph = self.model.graph
        self.drop_unread()
        del graph.node[:], graph.initializer[:]
        graph.node.extend(_in_order(self.nodes, {*self.constants, *(entry.name for entry in graph.input), ""}))
        read = {name for node in graph.node for name in _all_inputs(node)} | {entry.name for entry in graph.output}
        graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in self.constants.items() if name in read
        )
        del graph.value_info[:]
        return self.model


def network_nodes(graph: Graph) -> list[onnx.NodeProto]:
    """Return the nodes of the network proper: convolutions and all that leads to one; no decoding, no NMS."""
    wanted: set[int] = set()
    stack = [node for node in graph.nodes if node.op_type in ("Conv", "ConvTranspose", "Gemm")]
    while stack:
        node = stack.pop()
        if id(node) not in wanted:
            wanted.add(id(node))
            stack += [maker for name in node.input if (maker := graph.producer(name)) is not None]
    return [node for node in graph.nodes if id(node) in wanted]


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model, which may be changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def replace_all(field: Any, entries: Iterable[Any]) -> None:
    """Put other entries into a list of a graph, a function or a model: nodes, outputs, initializers."""
    kept = list(entries)
    del field[:]
    field.extend(kept)


def set_float_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> None:
    """Let a model give these float tensors of any shape, and nothing else."""
    outputs = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in tensors]
    replace_all(model.graph.output, outputs)


def constant_tensors(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the initializers and the values of Constant nodes by name."""
    found = {entry.name: entry for entry in graph.initializer}
    for node in graph.node:
        values = [entry.t for entry in node.attribute if entry.name == "value"]
        if node.op_type == "Constant" and values:
            found[node.output[0]] = values[0]
    return found


def tensors_read(graph: onnx.GraphProto) -> set[str]:
    """Return the names of all tensors that a node, one inside of a node, or an output reads."""
    inner = {name for node in graph.node for name in _all_inputs(node)}
    return inner | {output.name for output in graph.output}


def drop_unread_constants(graph: onnx.GraphProto, names: Iterable[str]) -> None:
    """Remove those of the named constants that nothing reads any more; runtimes warn of them at every start."""
    unread = set(names) - tensors_read(graph)
    replace_all(graph.node, (node for node in graph.node if node.op_type != "Constant" or node.output[0] not in unread))
    replace_all(graph.initializer, (entry for entry in graph.initializer if entry.name not in unread))


def needed_nodes(nodes: Sequence[onnx.NodeProto], wanted: Iterable[str]) -> list[onnx.NodeProto]:
    """Return those of some nodes in order that are needed to make the wanted tensors."""
    tensors = set(wanted)
    needed: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if tensors.intersection(node.output):
            tensors.update(node.input)
            needed.append(node)
    return needed[::-1]


class Steps:
    """New nodes and constants in the order in which they are appended.

    Args:
        prefix: of the nodes' names.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: Sequence[str], *outputs: str, name: str = "", **attributes: Any) -> str:
        """Append a node and return its first output, by which it is named unless a name is given."""
        named = f"{self._prefix}{name or outputs[0]}"
        self.nodes.append(helper.make_node(op, inputs, list(outputs), name=named, **attributes))
        return outputs[0]

    def constant(self, name: str, values: object, kind: type[np.generic] = np.float32) -> str:
        """Append a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name


def groups_of(node: onnx.NodeProto) -> int:
    """Return the groups of a convolution's channels."""
    return next((int(entry.i) for entry in node.attribute if entry.name == "group"), 1)


def make_node(op_type: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    """Return a node of one output, which is its name too."""
    return helper.make_node(op_type, inputs, [output], output, **attributes)


def _all_inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Yield what a node reads, also inside of its subgraphs."""
    yield from node.input
    for attribute in node.attribute:
        for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for child in inner.node:
                yield from _all_inputs(child)
            yield from (entry.name for entry in inner.output)


def _in_order(nodes: list[onnx.NodeProto], known: set[str]) -> list[onnx.NodeProto]:
    """Sort the nodes so that each comes after those that it reads, else in the order they have."""
    makers = {output: number for number, node in enumerate(nodes) for output in node.output}
    done: set[int] = set()
    ordered: list[onnx.NodeProto] = []
    for first in range(len(nodes)):
        stack = [first]
        while stack:
            number = stack[-1]
            missing = [
                makers[name]
                for name in _all_inputs(nodes[number])
                if name not in known and name in makers and makers[name] not in done and makers[name] != number
            ]
            if number in done or not missing:
                stack.pop()
                if number not in done:
                    done.add(number)
                    ordered.append(nodes[number])
            else:
                stack += missing
    return ordered
