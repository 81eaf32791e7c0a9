"""The one exported graph in the forms in which other hosts read a detector; see ``docs/packages.md``.

Each form is an edit of the exported model: the same weights, the same preprocessing inside, the same detections. The
NMS is written out in rounds, in operators that every runtime has: no host needs a plugin, and none meets a Loop.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from ssd_edge.core.choices import VariantForm
from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES, SPEC_KEY, VARIANT_KEY
from ssd_edge.core.spec import ModelSpec
from ssd_edge.graph.editor import Graph, make_node, replace_all
from ssd_edge.graph.nms_bodies import inline_function, rounds_for, write_out_rounds

FRIGATE_ROWS = 20
"""Detections that Frigate reads of an image."""
ROWS_NAME = "detections"
_TO_FIRST, _TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
_PREFIX = "variant"


def make_variant(model: onnx.ModelProto, spec: ModelSpec, form: VariantForm) -> onnx.ModelProto:
    """Return an exported model in another form.

    Args:
        model: as exported, or lowered in a way that leaves its NMS node.
        spec: of the model.
        form: the form of its input and outputs.

    Raises:
        ArtifactError: the model has no NMS node of ours.
    """
    graph = Graph(inline_function(write_out_rounds(model, rounds_for(model))))
    if form is VariantForm.FLOAT_NCHW:
        _take_floats(graph, spec)
    elif form in (VariantForm.FRIGATE_SSD, VariantForm.FRIGATE_YOLONAS):
        _give_rows(graph, spec, form)
    made = graph.finished()
    if form in (VariantForm.FRIGATE_SSD, VariantForm.FRIGATE_YOLONAS):
        _fix_batch(made)
    kept = [entry for entry in made.metadata_props if entry.key != SPEC_KEY]
    replace_all(made.metadata_props, [*kept, onnx.StringStringEntryProto(key=VARIANT_KEY, value=form.value)])
    onnx.checker.check_model(made, full_check=True)
    return made


def _take_floats(graph: Graph, spec: ModelSpec) -> None:
    """Let the graph read float32 (B, 3, H, W), BGR in 0..255, as DeepStream's preprocessing writes it."""
    (entry,) = graph.model.graph.input
    batch = entry.type.tensor_type.shape.dim[0].dim_param or entry.type.tensor_type.shape.dim[0].dim_value
    shape = [batch, 3, spec.input.height, spec.input.width]
    replace_all(graph.model.graph.input, [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, shape)])
    readers = _channels_first(graph)
    if readers:
        for tensor in readers:
            graph.redirect(tensor, INPUT_NAME)
        return
    last = make_node("Transpose", [INPUT_NAME], f"{_PREFIX}.channels_last", perm=_TO_LAST)
    graph.redirect(INPUT_NAME, graph.add(last), keep=last)


def _channels_first(graph: Graph) -> list[str]:
    """Return the float tensors that are the input with its channels first; empty where something else reads it too."""
    found = []
    for cast in graph.consumers(INPUT_NAME):
        readers = graph.consumers(cast.output[0])
        if not _is(cast, "Cast", "to", TensorProto.FLOAT):
            return []
        if not readers or not all(_is(reader, "Transpose", "perm", _TO_FIRST) for reader in readers):
            return []
        found += [reader.output[0] for reader in readers]
    return found


def _is(node: onnx.NodeProto, op_type: str, attribute: str, value: object) -> bool:
    values = (helper.get_attribute_value(entry) for entry in node.attribute if entry.name == attribute)
    return node.op_type == op_type and next(values, None) == value


def _give_rows(graph: Graph, spec: ModelSpec, form: VariantForm) -> None:
    """Put the best detections into one tensor of seven columns, in the order that a detector of Frigate reads."""
    rows = min(FRIGATE_ROWS, spec.nms.keep_top_k)
    boxes, scores, classes = (_first_rows(graph, name, rows) for name in OUTPUT_NAMES[1:])
    image = graph.constant(f"{_PREFIX}.image", np.zeros((1, rows, 1), np.float32))
    shape = [1, 1, rows, 7] if form is VariantForm.FRIGATE_SSD else [rows, 7]
    if form is VariantForm.FRIGATE_SSD:
        # Frigate looks at the label of a row before its score: -1 would be a warning for each row of padding.
        zero = graph.constant(f"{_PREFIX}.zero", np.zeros((), np.float32))
        real = graph.add(make_node("Max", [classes, zero], f"{_PREFIX}.real_classes"))
        columns = [image, real, scores, boxes]
    else:
        size = np.array([spec.input.width, spec.input.height] * 2, np.float32)
        scale = graph.constant(f"{_PREFIX}.size", size)
        pixels = graph.add(make_node("Mul", [boxes, scale], f"{_PREFIX}.pixels"))
        columns = [image, pixels, scores, classes]
    joined = graph.add(make_node("Concat", columns, f"{_PREFIX}.rows", axis=2))
    wanted = graph.constant(f"{_PREFIX}.shape", np.array(shape, np.int64))
    graph.add(make_node("Reshape", [joined, wanted], ROWS_NAME))
    replace_all(graph.model.graph.output, [helper.make_tensor_value_info(ROWS_NAME, TensorProto.FLOAT, shape)])


def _first_rows(graph: Graph, output: str, rows: int) -> str:
    """Return the first rows of an output, as (1, rows, columns)."""
    start, end, axis = (
        graph.constant(f"{_PREFIX}.{name}", np.array([value], np.int64))
        for name, value in (("start", 0), ("end", rows), ("rows_axis", 1))
    )
    first = graph.add(make_node("Slice", [output, start, end, axis], f"{_PREFIX}.{output}"))
    if output == OUTPUT_NAMES[1]:
        return first
    last = graph.constant(f"{_PREFIX}.last_axis", np.array([2], np.int64))
    return graph.add(make_node("Unsqueeze", [first, last], f"{_PREFIX}.{output}.column"))


def _fix_batch(model: onnx.ModelProto) -> None:
    """Let a model take one image at a time."""
    for entry in model.graph.input:
        axis = entry.type.tensor_type.shape.dim[0]
        axis.Clear()
        axis.dim_value = 1
