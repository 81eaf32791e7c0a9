"""The NMS node in the forms that engines take it in, each made of the exported model.

The exported body settles suppression in a Loop, which stops where nothing changes any more. TensorRT turns a Loop into
an ITripLimitLayer, of which NVIDIA says that it rules out CUDA graphs: there the rounds are written out, as many as
:func:`rounds_for` says. Their number is even: after an even number of rounds what is kept contains what greedy NMS
keeps, so that a chain which is longer leaves a duplicate, and no object is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import onnx
import onnx.inliner
import onnx.parser
from onnx import TensorProto

from ssd_edge.core.errors import ArtifactError, one_line
from ssd_edge.core.graph_contract import NMS_DOMAIN, NMS_OP, ROUNDS_KEY
from ssd_edge.graph.editor import copied, needed_nodes, replace_all
from ssd_edge.graph.nms_steps import best_kept, constants, overlaps, ranks, suppression, valid_pairs
from ssd_edge.graph.opset import as_opset, opset_of

LEAST_ROUNDS = 16
_KEPT_ROW = "kept_row"  # (B, 1, M), 1 where a candidate is kept
_RANKED = ("ranked_scores", "ranked_classes", "ranked_boxes")  # of the portable body, of every release
_OPSET = 17
_ATTRIBUTES = {  # of the node, which the lowerings read
    "keepTopK": onnx.AttributeProto.INT,
    "numClasses": onnx.AttributeProto.INT,
    "scoreThreshold": onnx.AttributeProto.FLOAT,
    "iouThreshold": onnx.AttributeProto.FLOAT,
}


def rounds_counted(model: onnx.ModelProto) -> int | None:
    """Return how many rounds the parity images of a model needed; None where the file does not say."""
    counted = next((entry.value for entry in model.metadata_props if entry.key == ROUNDS_KEY), "")
    return int(counted) if counted.isdecimal() else None


def rounds_for(model: onnx.ModelProto) -> int:
    """Return how many rounds an engine of a model must have: twice what its parity images needed, and 16 or more."""
    return max(LEAST_ROUNDS, 2 * (rounds_counted(model) or 0))


def strip_function(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without the portable body, for a runtime where the plugin is registered.

    Raises:
        ArtifactError: the model has no BatchedNMS node.
    """
    _node_of(model)
    stripped = copied(model)
    replace_all(stripped.functions, (body for body in model.functions if not _is_nms(body.domain, body.name)))
    return stripped


def inline_function(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the node replaced by its portable body, for a runtime that has no such plugin.

    Raises:
        ArtifactError: the model has no BatchedNMS node, or the body was stripped from it.
    """
    _check_body(model)
    try:
        inlined = onnx.inliner.inline_selected_functions(model, [(NMS_DOMAIN, NMS_OP)])
    except Exception as error:  # what a damaged graph makes onnx raise has no common base
        raise _damaged(one_line(error)) from error
    replace_all(inlined.opset_import, (entry for entry in inlined.opset_import if entry.domain != NMS_DOMAIN))
    return inlined


def write_out_rounds(model: onnx.ModelProto, rounds: int, *, products: bool = True) -> onnx.ModelProto:
    """Return the model with the Loop of its portable body replaced by so many rounds.

    Args:
        model: as exported, or lowered.
        rounds: an even number; more than there are candidates are of no use, and are left out.
        products: write a round as a matrix product; else as multiplications and a sum, of whole numbers too, so that
            no bit differs.

    Raises:
        ArtifactError: the model has no BatchedNMS node, or the body was stripped from it.
    """
    _check_body(model)
    changed = copied(model)
    for body in changed.functions:
        if _is_nms(body.domain, body.name):
            candidates = _candidates(body)
            count = max(2, min(rounds, candidates + candidates % 2))  # no chain has more links
            made = _rounds(count) if products else _rounds_of_sums(count)
            matrix = f"{overlaps(candidates)}{suppression()}{valid_pairs()}"
            replace_choice(changed, body, f"{matrix}{made}\n    kept = Squeeze ({_KEPT_ROW}, axis_1)")
    return changed


def replace_choice(model: onnx.ModelProto, body: onnx.FunctionProto, text: str) -> None:
    """Let other nodes of a portable body choose which ranked pairs are kept.

    Args:
        model: that the body belongs to; its node has the number of rows.
        body: to be changed.
        text: nodes in ONNX text that make ``kept``, (B, M) of 1 and 0, of ``ranked_scores``, ``ranked_classes`` and
            ``ranked_boxes``. They may read the attributes of the node and what ``nms_steps.constants`` names.

    Raises:
        ArtifactError: the body, or its node, is not as the export writes it.
    """
    _check_written_by_export(body)
    candidates = _candidates(body)
    rows = int(_attributes(_node_of(model))["keepTopK"])
    steps = f"{constants(candidates)}{ranks()}{text}{best_kept(min(rows, candidates), rows)}"
    outputs = ", ".join(body.output)
    header = f'<opset_import: ["" : {_OPSET}], domain: "lowering">\nchoice <{", ".join(body.attribute)}>'
    made = onnx.parser.parse_function(f"{header} ({', '.join(_RANKED)}) => ({outputs})\n{{{steps}}}")
    head = needed_nodes(body.node, _RANKED)
    known = {name for node in head for name in node.output}
    tail = [node for node in made.node if known.isdisjoint(node.output)]
    tail = as_opset(tail, opset_of(body))  # half precision has raised it
    replace_all(body.node, needed_nodes([*head, *tail], body.output))


def use_efficient_nms(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with TensorRT's EfficientNMS plugin in the place of its NMS node.

    Scores and overlaps equal to their thresholds count as above them there, and its limit is 5,000 candidates over all
    classes together. Classes are made floats and padding -1, as the graph contract has them.

    Raises:
        ArtifactError: the model has no BatchedNMS node.
    """
    stripped = strip_function(model)
    node = _node_of(stripped)
    values = _attributes(node)
    text = _EFFICIENT.format(
        rows=values["keepTopK"],
        score=values["scoreThreshold"],
        iou=values["iouThreshold"],
        int32=int(TensorProto.INT32),
        float32=int(TensorProto.FLOAT),
    )
    made = onnx.parser.parse_function(text)
    tensors = dict(zip(made.input, node.input, strict=True))  # names of foreign graphs need not be ONNX text
    for entry in made.node:
        replace_all(entry.input, [tensors.get(name, name) for name in entry.input])
    replace_all(
        stripped.graph.node,
        (entry for old in stripped.graph.node for entry in (made.node if _is_nms(old.domain, old.op_type) else [old])),
    )
    return stripped


def replace_maker(body: onnx.FunctionProto, tensor: str, text: str) -> None:
    """Let the nodes of another function, in ONNX text, make a tensor; drop what only its old maker read."""
    made = onnx.parser.parse_function(text)
    nodes = [entry for node in body.node for entry in (made.node if tensor in node.output else [node])]
    replace_all(body.node, needed_nodes(nodes, body.output))


def _rounds(count: int) -> str:
    return _written_out(
        count,
        lambda old, new: (
            f"""
    hits_{old} = MatMul ({old}, suppresses)
    left_{old} = Sub (valid, hits_{old})
    {new} = Relu (left_{old})"""
        ),
    )


def _rounds_of_sums(count: int) -> str:
    """Rounds where TensorRT-RTX has no float32 matrix product: the columns' sums over a transposed matrix."""
    rounds = _written_out(
        count,
        lambda old, new: (
            f"""
    terms_{old} = Mul (suppressed_by, {old})
    sums_{old} = ReduceSum <keepdims = 0> (terms_{old}, axis_2)
    hits_{old} = Unsqueeze (sums_{old}, axis_1)
    left_{old} = Sub (valid, hits_{old})
    {new} = Relu (left_{old})"""
        ),
    )
    return f"""
    suppressed_by = Transpose <perm = [0, 2, 1]> (suppresses){rounds}"""


def _written_out(count: int, one_round: Callable[[str, str], str]) -> str:
    names = ["valid", *(f"round_{number}" for number in range(1, count)), _KEPT_ROW]
    return "".join(one_round(old, new) for old, new in pairwise(names))


def _candidates(body: onnx.FunctionProto) -> int:
    """Return M, the pairs that a portable body ranks.

    Raises:
        ArtifactError: the body does not say it.
    """
    candidates = _count(body, "pair_count")
    if candidates is None:
        raise _damaged("no pair_count")
    return candidates


def _count(body: onnx.FunctionProto, name: str) -> int | None:
    """Return a count that a portable body holds as a constant; None where it has none of that name."""
    maker = next((node for node in body.node if name in node.output), None)
    if maker is None:
        return None
    values = [entry.t for entry in maker.attribute if entry.type == onnx.AttributeProto.TENSOR]
    counts = [count for value in values for count in onnx.numpy_helper.to_array(value).reshape(-1).tolist()]
    if len(counts) != 1 or not isinstance(counts[0], int) or counts[0] < 1:
        raise _damaged(f"{counts!s:.80} for its {name}")
    return int(counts[0])


def _check_written_by_export(body: onnx.FunctionProto) -> None:
    """Raise ArtifactError where a portable body lacks what lowerings build upon, or a name is no ONNX text."""
    strange = [name for name in (*body.attribute, *body.output) if not (name.isascii() and name.isidentifier())]
    made = {name for node in body.node for name in node.output}
    missing = [name for name in _RANKED if name not in made]
    if strange:
        raise _damaged(repr(strange[0][:80]))
    if missing:
        raise _damaged(f"no {missing[0]}")
    if not any(entry.domain == "" for entry in body.opset_import):
        raise _damaged("no version of ONNX's operators")
    _count(body, "near_count")


def _damaged(got: str) -> ArtifactError:
    return ArtifactError(
        "the graph is damaged",
        got=f"{got} in its {NMS_OP}",
        wanted="the function as ssd-edge export wrote it",
        do="Export the model again: ssd-edge export",
    )


_EFFICIENT = """
<opset_import: ["" : 17, "trt.plugins" : 1], domain: "lowering">
efficient (given_boxes, given_scores) => (num_detections, nmsed_boxes, nmsed_scores, nmsed_classes)
{{
    efficient_axis = Constant <value = int64[1] {{2}}> ()
    efficient_boxes = Squeeze (given_boxes, efficient_axis)
    num_detections, nmsed_boxes, nmsed_scores, efficient_classes = trt.plugins.EfficientNMS_TRT <
        score_threshold = {score!r}, iou_threshold = {iou!r}, max_output_boxes = {rows}, background_class = -1,
        score_activation = 0, class_agnostic = 0, box_coding = 0, plugin_version = "1"> (efficient_boxes, given_scores)
    efficient_start = Constant <value = int32 {{0}}> ()
    efficient_end = Constant <value = int32 {{{rows}}}> ()
    efficient_step = Constant <value = int32 {{1}}> ()
    efficient_row = Range (efficient_start, efficient_end, efficient_step)
    is_detection = Less (efficient_row, num_detections)
    efficient_floats = Cast <to = {float32}> (efficient_classes)
    no_class = Constant <value_float = -1.0> ()
    nmsed_classes = Where (is_detection, efficient_floats, no_class)
}}
"""


def _check_body(model: onnx.ModelProto) -> None:
    _node_of(model)
    if not any(_is_nms(function.domain, function.name) for function in model.functions):
        raise ArtifactError(
            f"the ONNX model has no portable implementation of {NMS_OP}",
            got=f"{len(model.functions)} other functions",
            wanted="the unchanged file of ssd-edge export",
            do="Export the model again: ssd-edge export",
        )


def _node_of(model: onnx.ModelProto) -> onnx.NodeProto:
    found: onnx.NodeProto | None = next((node for node in model.graph.node if _is_nms(node.domain, node.op_type)), None)
    if found is None:
        raise ArtifactError(
            f"the ONNX model has no {NMS_OP} node",
            got=f"{len(model.graph.node)} other nodes",
            wanted="a model that ssd-edge export wrote",
            do="Export the model again: ssd-edge export",
        )
    return found


def _attributes(node: onnx.NodeProto) -> dict[str, int | float]:
    """Return the attributes of an NMS node that lowerings read.

    Raises:
        ArtifactError: one of them is missing, or is no such number.
    """
    found = {entry.name: entry for entry in node.attribute}
    for name, kind in _ATTRIBUTES.items():
        if name not in found or found[name].type != kind or (name == "keepTopK" and found[name].i < 1):
            raise _damaged(f"no valid {name}")
    return {name: onnx.helper.get_attribute_value(found[name]) for name in _ATTRIBUTES}


def _is_nms(domain: str, name: str) -> bool:
    return (domain, name) == (NMS_DOMAIN, NMS_OP)
