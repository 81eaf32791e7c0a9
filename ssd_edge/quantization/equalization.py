"""Cross-layer equalization (Nagel et al., Data-Free Quantization, 2019, section 4.1).

Where one convolution alone feeds another through a ReLU, ``relu(s x) = s relu(x)`` for s > 0: a channel may be made
smaller in the first and as much larger in the second without changing what comes out. The scale that gives both the
same range, ``s = sqrt(r1 * r2) / r2``, makes the channels of a tensor alike, so that one scale serves them all. A clip
(ReLU6) is not of that kind; one whose limit no value reaches is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.graph.editor import Array, Graph, groups_of

_MOST_ROUNDS = 20
_SETTLED = 1e-3
_POOLS = ("MaxPool",)


@dataclass(frozen=True)
class Pair:
    """A convolution, the one that alone reads what it gives, and the tensors between them."""

    first: onnx.NodeProto
    second: onnx.NodeProto
    between: tuple[str, ...]


@dataclass(frozen=True)
class Equalized:
    """The same function with like channels.

    Attributes:
        scales: of each tensor between two convolutions, by which factor each channel shrank, (C,).
    """

    model: onnx.ModelProto
    scales: dict[str, Array]


def equalize(model: onnx.ModelProto, table: CalibrationTable | None = None) -> Equalized:
    """Return the model with the ranges of neighboring convolutions equalized; ranges must be measured anew.

    Args:
        model: as exported.
        table: ranges of it; with them, clips that no value reaches are passed like ReLUs, and become ReLUs.
    """
    graph = Graph(model)
    pairs = list(_pairs(graph, table))
    total = {name: np.ones(len(_weight(graph, pair.first))) for pair in pairs for name in pair.between}
    for _ in range(_MOST_ROUNDS):
        largest = 0.0
        for pair in pairs:
            scale = _scale(_weight(graph, pair.first), _input_first(graph, pair.second))
            largest = max(largest, float(np.abs(np.log(scale)).max()))
            _apply(graph, pair, scale)
            for name in pair.between:
                total[name] = total[name] * scale
        if largest < _SETTLED:
            break
    for pair in pairs:
        _unclip(graph, pair)
    return Equalized(graph.finished(), total)


def _pairs(graph: Graph, table: CalibrationTable | None) -> Iterator[Pair]:
    """Yield each convolution with the next, where nothing else reads what is between them."""
    for node in graph.weighted("Conv"):
        between = [str(node.output[0])]
        while len(readers := graph.consumers(between[-1])) == 1:
            reader = readers[0]
            if reader.op_type == "Conv":
                if _can_follow(graph, reader):
                    yield Pair(node, reader, tuple(between))
                break
            if not (reader.op_type in ("Relu", *_POOLS) or _is_idle_clip(graph, reader, table)):
                break
            between.append(str(reader.output[0]))


def _can_follow(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether a convolution's inputs can be distinguished in its weight: ordinary, or depthwise of factor one."""
    weight, group = graph.constants.get(node.input[1]), groups_of(node)
    return weight is not None and (group == 1 or (weight.shape[1] == 1 and group == len(weight)))


def _is_idle_clip(graph: Graph, node: onnx.NodeProto, table: CalibrationTable | None) -> bool:
    if node.op_type != "Clip" or table is None:
        return False
    low, high = (graph.constants.get(name) if name else None for name in [*node.input[1:], "", ""][:2])
    measured = table.ranges.get(str(node.output[0]))
    is_relu_below = low is not None and float(low) == 0
    if not is_relu_below or high is None or measured is None:
        return False
    # The range may cut off what the histogram has seen.
    largest = measured.high if measured.histogram is None else max(measured.high, measured.histogram.high)
    return largest < 0.99 * float(high)


def _unclip(graph: Graph, pair: Pair) -> None:
    """Turn the idle clips of a pair into ReLUs: their limit is another now for every channel."""
    for name in pair.between:
        maker = graph.producer(name)
        if maker is not None and maker.op_type == "Clip":
            maker.op_type = "Relu"
            del maker.input[1:]


def _weight(graph: Graph, node: onnx.NodeProto) -> Array:
    return graph.constants[node.input[1]]


def _input_first(graph: Graph, node: onnx.NodeProto) -> Array:
    """Return the weight with the channels that it reads in front."""
    weight = _weight(graph, node)
    return weight if groups_of(node) > 1 else np.moveaxis(weight, 1, 0)


def _scale(first: Array, second: Array) -> Array:
    """Return (C,) by which to divide the first's channels; 1 where a channel is dead."""
    r1 = np.abs(first.reshape(len(first), -1)).max(axis=1).astype(np.float64)
    r2 = np.abs(second.reshape(len(second), -1)).max(axis=1).astype(np.float64)
    alive = (r1 > 0) & (r2 > 0)
    return np.asarray(np.where(alive, np.sqrt(np.where(alive, r1, 1) / np.where(alive, r2, 1)), 1.0))


def _apply(graph: Graph, pair: Pair, scale: Array) -> None:
    first, second = pair.first, pair.second
    weight = _weight(graph, first)
    _replace(graph, first, 1, weight / scale.reshape(-1, 1, 1, 1))
    if len(first.input) > 2 and first.input[2]:
        _replace(graph, first, 2, graph.constants[first.input[2]] / scale)
    along = (-1, 1, 1, 1) if groups_of(second) > 1 else (1, -1, 1, 1)
    _replace(graph, second, 1, _weight(graph, second) * scale.reshape(along))


def _replace(graph: Graph, node: onnx.NodeProto, position: int, value: Array) -> None:
    """Give a node a constant of its own: the old one may be shared with others."""
    name = f"{node.name}.equalised.{position}"
    graph.constants[name] = value.astype(np.float32)
    if node.input[position] != name:
        graph.rewire(node, position, name)
