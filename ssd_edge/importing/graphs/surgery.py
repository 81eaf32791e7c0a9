"""Around a foreign graph: pixels to its input before it, softmax, decode and NMS after it (docs: "The graph contract").

Foreign tensors are renamed, so that no name of theirs meets one of ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.shape_inference
from onnx import TensorProto, helper
from onnx.compose import add_prefix

from ssd_edge import __version__
from ssd_edge.core.choices import BoxLayout
from ssd_edge.core.errors import ArtifactError, one_line
from ssd_edge.core.frame import FloatArray
from ssd_edge.core.graph_contract import DIGEST_KEY, INPUT_NAME, ROUNDS_KEY, SPEC_KEY, VERSION_KEY
from ssd_edge.core.spec import ModelSpec
from ssd_edge.graph.editor import Steps
from ssd_edge.graph.nms import OPSET, attach_nms
from ssd_edge.importing.graphs.free_batch import BATCH
from ssd_edge.importing.graphs.layout import add_corners
from ssd_edge.importing.graphs.outputs import Outputs

_PREFIX = "foreign/"
_BOXES, _SCORES = "boxes", "scores"


@dataclass(frozen=True)
class Reading:
    """Interpretation of the imported graph's outputs.

    Attributes:
        outputs: names of the outputs.
        softmaxed: the scores are probabilities already.
        anchors: (N, 4) anchors that offsets belong to; None where the graph gives boxes.
        layout: of the boxes that it gives.
    """

    outputs: Outputs
    softmaxed: bool
    anchors: FloatArray | None
    layout: BoxLayout = BoxLayout.XYXY


def scored_boxes(model: onnx.ModelProto, spec: ModelSpec, reading: Reading) -> onnx.ModelProto:
    """Return the graph from uint8 ``images`` to ``boxes`` (B, N, 1, 4) and ``scores`` (B, N, C), without NMS.

    Its batch is as free as that of ``model``, which must be in our operator set.
    """
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or BATCH
    inner = add_prefix(model, _PREFIX).graph
    steps = Steps("ssd_edge/")
    _normalise(steps, spec, inner.input[0].name)
    steps.nodes += inner.node
    _class_scores(steps, _PREFIX + reading.outputs.scores, spec, reading)
    _unit_boxes(steps, _PREFIX + reading.outputs.boxes, spec, reading)
    count, entry = spec.anchors.count, spec.input
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        steps.nodes,
        spec.name,
        [value(INPUT_NAME, TensorProto.UINT8, [batch, entry.height, entry.width, 3])],
        [
            value(_BOXES, TensorProto.FLOAT, [batch, count, 1, 4]),
            value(_SCORES, TensorProto.FLOAT, [batch, count, len(spec.class_names)]),
        ],
        [*steps.constants, *inner.initializer],
    )
    graph.sparse_initializer.extend(inner.sparse_initializer)
    opsets = [helper.make_opsetid("", OPSET)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version, producer_name="ssd-edge")
    made.producer_version = __version__
    return made


def finished(scored: onnx.ModelProto, spec: ModelSpec, source_digest: str, nms_rounds: int) -> onnx.ModelProto:
    """Return the whole model: NMS attached, and in its metadata the spec and the rounds of suppression it needs.

    Raises:
        ArtifactError: the foreign graph does not go together with ours to a valid ONNX.
    """
    model = attach_nms(scored, spec)
    fixed = scored.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    if fixed:
        for output in model.graph.output:
            output.type.tensor_type.shape.dim[0].dim_value = fixed
    metadata = {SPEC_KEY: spec.to_json(), DIGEST_KEY: source_digest, VERSION_KEY: __version__}
    helper.set_model_props(model, {**metadata, ROUNDS_KEY: str(nms_rounds)})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ArtifactError(
            f"{spec.name}: the imported graph cannot be combined with preprocessing and NMS",
            got=one_line(error),
            do="Please report this with the file's exporter and version.",
        ) from error
    return model


def _normalise(steps: Steps, spec: ModelSpec, output: str) -> None:
    """Pixels as the network wants them, in ``output``. The cast comes first: no runtime needs to do more with bytes."""
    entry = spec.input
    planes = steps.add("Cast", [INPUT_NAME], "pixels", to=TensorProto.FLOAT)
    planes = steps.add("Transpose", [planes], "planes", perm=[0, 3, 1, 2])
    if entry.color_order == "rgb":
        order = steps.constant("bgr_to_rgb", [2, 1, 0], np.int64)
        planes = steps.add("Gather", [planes, order], "rgb_planes", axis=1)
    mean = steps.constant("mean", np.reshape(entry.mean, (1, 3, 1, 1)))
    std = steps.constant("std", np.reshape(entry.std, (1, 3, 1, 1)))
    steps.add("Div", [steps.add("Sub", [planes, mean], "centred"), std], output)


def _class_scores(steps: Steps, scores: str, spec: ModelSpec, reading: Reading) -> None:
    """Probabilities of the real classes; background counts in the softmax and is left out after it."""
    if not reading.softmaxed:
        scores = steps.add("Softmax", [scores], "probabilities", axis=-1)
    bounds = [
        steps.constant(name, [value], np.int64)
        for name, value in (("first_class", 1), ("past_classes", spec.num_logits), ("class_axis", 2))
    ]
    steps.add("Slice", [scores, *bounds], _SCORES)


def _unit_boxes(steps: Steps, boxes: str, spec: ModelSpec, reading: Reading) -> None:
    if reading.anchors is not None:
        boxes = _decoded(steps, boxes, spec, reading.anchors)
    else:
        boxes = add_corners(steps, boxes, reading.layout)
    if spec.nms.clip_boxes:
        limits = [steps.constant("box_least", 0.0), steps.constant("box_most", 1.0)]
        boxes = steps.add("Clip", [boxes, *limits], "clipped_boxes")
    steps.add("Unsqueeze", [boxes, steps.constant("shared_axis", [2], np.int64)], _BOXES)


def _decoded(steps: Steps, offsets: str, spec: ModelSpec, anchors: FloatArray) -> str:
    """Boxes x1 y1 x2 y2, as :func:`ssd_edge.model.box_coder.decode` computes them."""
    coding = spec.box_coding
    halves = steps.constant("offset_halves", [2, 2], np.int64)
    steps.add("Split", [offsets, halves], "shifts", "stretches", name="halves", axis=2)
    reach = steps.constant("anchor_reach", anchors[:, 2:] * np.array(coding.variances[:2], np.float32))
    shifted = steps.add("Mul", ["shifts", reach], "moves")
    centers = steps.add("Add", [shifted, steps.constant("anchor_centres", anchors[:, :2])], "centres")
    logs = steps.add("Mul", ["stretches", steps.constant("size_variances", coding.variances[2:])], "log_scales")
    if math.isfinite(coding.max_log_scale):
        limit = steps.constant("max_log_scale", coding.max_log_scale)
        logs = steps.add("Min", [logs, limit], "limited_log_scales")
    half_anchor = steps.constant("anchor_half_sides", anchors[:, 2:] / 2)
    sides = steps.add("Mul", [steps.add("Exp", [logs], "scales"), half_anchor], "half_sides")
    corners = [steps.add("Sub", [centers, sides], "top_left"), steps.add("Add", [centers, sides], "bottom_right")]
    return steps.add("Concat", corners, "decoded_boxes", axis=2)
