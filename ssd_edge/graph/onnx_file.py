"""The one door through which ONNX files come in: parsed, with their weights, and every fault one named error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto, numpy_helper

from ssd_edge.core.errors import ArtifactError, one_line
from ssd_edge.graph.function_calls import all_nodes, check_calls

LARGEST_AXIS = 1 << 31
"""No axis of a tensor is longer, and no input of a graph has more elements."""
_VALUES = {"value", "sparse_value", *(f"value_{kind}{s}" for kind in ("int", "float", "string") for s in ("", "s"))}
_GRAPHS = (AttributeProto.GRAPH, AttributeProto.GRAPHS)


class NotOnnxError(ArtifactError):
    """The bytes are no ONNX at all."""


def parse_onnx(data: bytes, path: Path, *, weights_beside: bool = False) -> onnx.ModelProto:
    """Return the model whose tensors all have their values, as many as their shapes say.

    Args:
        data: of the file.
        path: of the file, for errors and for what lies beside it.
        weights_beside: whether weights may lie in files in the same folder; else they are refused.

    Raises:
        NotOnnxError: the bytes are no ONNX.
        ArtifactError: a tensor is damaged, of an absurd size, or lies elsewhere; functions call each other without end.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError, MemoryError) as error:
        raise NotOnnxError(f"{path} is not an ONNX file", got=str(error), do="Export one: ssd-edge export") from error
    _check_nodes(model, path)
    check_calls(model, path)
    outside = [tensor for tensor in _tensors(model) if tensor.data_location == TensorProto.EXTERNAL]
    if outside:
        _load_outside(model, outside, path, allowed=weights_beside)
    for tensor in _tensors(model):
        _check_tensor(tensor, path)
    for entry in model.graph.input:
        sides = [axis.dim_value for axis in entry.type.tensor_type.shape.dim]
        if any(side < 0 for side in sides) or math.prod(side or 1 for side in sides) > LARGEST_AXIS:
            raise _damaged(
                path, f"the input {entry.name!r:.80}", f"the shape {sides}", f"at most {LARGEST_AXIS} elements"
            )
    return model


def _check_nodes(model: onnx.ModelProto, path: Path) -> None:
    """Refuse names that are no text, and constants without a value or with several; ONNX's own checker does not."""
    nodes = list(all_nodes([*model.graph.node, *(node for function in model.functions for node in function.node)]))
    texts = [text for function in model.functions for text in (function.domain, function.name)]
    texts += [getattr(entry, "overload", "") for entry in (*model.functions, *nodes)]
    for node in nodes:
        texts += (node.op_type, node.name, node.domain, *node.input, *node.output)
    if not all(isinstance(text, str) for text in texts):
        raise _damaged(path, "the name of an operator or a tensor", "bytes that are no text", "UTF-8")
    for node in (node for node in nodes if node.op_type == "Constant" and node.domain in ("", "ai.onnx")):
        values = [entry.name for entry in node.attribute if entry.name in _VALUES]
        if len(values) != 1:
            raise _damaged(path, "a node 'Constant'", ", ".join(values)[:80] or "no value", "one value")


def _load_outside(model: onnx.ModelProto, outside: list[TensorProto], path: Path, *, allowed: bool) -> None:
    """Read the weights that lie in files beside the model; a file elsewhere, or what is no file, is never opened."""
    if not allowed:
        raise _outside(path, f"{len(outside)} tensors elsewhere", "all weights in the file itself")
    folder = path.parent.resolve()
    for tensor in outside:
        where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
        try:
            target = (folder / where).resolve()
            is_inside = bool(where) and not Path(where).is_absolute() and target.is_relative_to(folder)
            is_file = is_inside and target.is_file()
        except (OSError, ValueError, RuntimeError) as error:  # a null character, a name too long, links in a ring
            raise _outside(path, f"{where!r:.80}: {error}") from error
        if not is_file:
            raise _outside(
                path, f"{where!r:.80}" + (", which is not a file" if is_inside else ", outside of its folder")
            )
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # what offsets and lengths of a file make it raise has no common base
        raise _outside(path, one_line(error)) from error


def _outside(path: Path, got: str, wanted: str = "") -> ArtifactError:
    return ArtifactError(
        f"{path} keeps its weights in another file, which cannot be read",
        got=got,
        wanted=wanted or "the .data file that was exported with the ONNX file, in the same folder",
        do="Export the model again." if wanted else "Copy both files into one folder.",
    )


def _check_tensor(tensor: TensorProto, path: Path) -> None:
    what = f"the tensor {tensor.name!r:.80}"
    if not all(0 <= side < LARGEST_AXIS for side in tensor.dims):
        raise _damaged(path, what, f"the shape {list(tensor.dims)!s:.80}", f"axes of 0 to {LARGEST_AXIS}")
    try:
        if tensor.data_location == TensorProto.EXTERNAL:  # to_array would look for it in the current folder
            raise ValueError("in another file")
        numpy_helper.to_array(tensor)
    except Exception as error:  # types and lengths that do not go together make NumPy and onnx raise anything
        raise _damaged(path, what, one_line(error), "as many values as its shape requires") from error


def _damaged(path: Path, what: str, got: str, wanted: str) -> ArtifactError:
    return ArtifactError(f"{path} is damaged: {what}", got=got, wanted=wanted, do="Export the model again.")


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model: weights, and constants at any depth."""
    graphs, nodes = [model.graph], [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            if attribute.type in _GRAPHS:
                graphs += [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs
            elif attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == AttributeProto.TENSORS:
                yield from attribute.tensors
