"""A foreign SSD in ONNX to one of ours, written only when it finds the same objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ssd_edge.core.anchor_spec import AnchorSpec, AnchorTable
from ssd_edge.core.choices import BoxLayout
from ssd_edge.core.errors import ArtifactError, InputError, ParityError
from ssd_edge.core.files import file_digest, written_beside
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.spec import BoxCoding, InputSpec, ModelSpec, NmsSpec
from ssd_edge.graph.nms_rounds import rounds_needed
from ssd_edge.importing.graphs.box_table import BoxTable, read_box_table
from ssd_edge.importing.graphs.free_batch import with_free_batch, with_single_batch
from ssd_edge.importing.graphs.layout import corners_by_hand
from ssd_edge.importing.graphs.normalization import Normalization, known_normalization, unknown_normalization
from ssd_edge.importing.graphs.outputs import (
    Activation,
    Outputs,
    choose_outputs,
    is_softmaxed,
    refuse_background_last,
    refuse_changing_sizes,
    refuse_decoded,
    refuse_not_decoded,
    refuse_tensorflow,
)
from ssd_edge.importing.graphs.probe import Probe, run_probe
from ssd_edge.importing.graphs.source import in_our_opset, read_foreign, source_input
from ssd_edge.importing.graphs.surgery import Reading, finished, scored_boxes
from ssd_edge.importing.graphs.verify import Agreement, by_hand, softmax, verify
from ssd_edge.importing.labels import class_names, read_labels

ARCHITECTURE = "foreign-onnx"
PLAIN_CODING = BoxCoding(max_log_scale=math.inf)
FOREIGN_NMS = NmsSpec(clip_boxes=False)
_ANY_PIXELS = Normalization((127.5,) * 3, (127.5,) * 3)
_UNKNOWN_CODING = BoxCoding((1.0, 1.0, 1.0, 1.0), math.inf)


@dataclass(frozen=True)
class Hints:
    """Facts that the user gives about an imported graph; others are read from the file, or required.

    Attributes:
        name: of the model; by default the file's stem.
        labels: one class a line, with or without BACKGROUND first; by default built-in names chosen by their number.
        normalization: of the pixels; needed unless jetson-inference exported the file.
        size: (height, width), where the graph leaves them free.
        anchors: ``.npy`` or ``.json`` of the anchors, where the graph gives offsets.
        coding: how the offsets are meant.
        scores, boxes: names of the outputs.
        activation: what the scores are; by default found from their values.
        nms: thresholds and limits.
    """

    name: str | None = None
    labels: Path | None = None
    normalization: Normalization | None = None
    size: tuple[int, int] | None = None
    anchors: Path | None = None
    coding: BoxCoding = PLAIN_CODING
    scores: str | None = None
    boxes: str | None = None
    activation: Activation = "auto"
    layout: BoxLayout = BoxLayout.XYXY
    nms: NmsSpec = FOREIGN_NMS


@dataclass(frozen=True)
class GraphImport:
    """Result of an import.

    Attributes:
        onnx: the file that was written.
        spec: of the detector.
        normalization: its pixels, and where the numbers come from.
        softmaxed: the foreign graph gives probabilities.
        free_batch: it takes any number of images at a time; otherwise one.
        agreement: how near it is to the foreign graph.
    """

    onnx: Path
    spec: ModelSpec
    normalization: Normalization
    softmaxed: bool
    free_batch: bool
    agreement: Agreement


def import_onnx(
    path: Path, output: Path | None, images: Sequence[UInt8Array], hints: Hints | None = None, *, root: Path = Path()
) -> GraphImport:
    """Write an ONNX that obeys our graph contract and finds what the foreign SSD at ``path`` finds.

    Args:
        path: a graph from float32 pixels (B, 3, H, W) to class scores (B, N, classes and background) and either boxes
            x1 y1 x2 y2 in 0..1 or offsets, both (B, N, 4).
        output: by default ``engines/<name>/<name>.onnx`` below ``root``.
        images: BGR images of any size, on which both are compared.
        hints: what the file does not say.
        root: of the workspace.

    Raises:
        InputError: a file cannot be read or written, or the file needs a hint that is missing or does not fit.
        ArtifactError: it is not such a graph; the message says what it looks like.
        ParityError: the new graph finds something else; nothing is written.
    """
    hints = hints or Hints()
    table = read_box_table(hints.anchors) if hints.anchors is not None else None
    given = read_labels(hints.labels) if hints.labels is not None else None
    model = read_foreign(path)
    refuse_tensorflow(model, path)
    source = source_input(model, path, hints.size)
    normalization = hints.normalization or known_normalization(model)
    pixels = normalization or _ANY_PIXELS
    entry = InputSpec(source.height, source.width, pixels.mean, pixels.std, pixels.color_order)
    probe = run_probe(path, source.name, entry, images)
    refuse_changing_sizes(probe.sizes_change, probe.shapes, path)
    outputs = choose_outputs(probe.shapes, model, path, scores=hints.scores, boxes=hints.boxes)
    if normalization is None:  # asked for last: whoever has no SSD must hear of that
        raise unknown_normalization(path)
    reading = _read_outputs(outputs, path, probe, hints, table)
    spec = _spec(path, entry, probe, reading, hints, given, table)
    target = output or root / "engines" / spec.name / f"{spec.name}.onnx"
    plan = GraphPlan(spec, reading, probe, file_digest(path))
    free, agreement = write_graph(in_our_opset(model, path), plan, target)
    return GraphImport(target, spec, normalization, reading.softmaxed, free, agreement)


def _read_outputs(outputs: Outputs, path: Path, probe: Probe, hints: Hints, table: BoxTable | None) -> Reading:
    """Find out what the numbers of the outputs mean."""
    softmaxed = is_softmaxed(probe.stacked(outputs.scores), hints.activation, path)
    scores = probe.stacked(outputs.scores)
    refuse_background_last(scores if softmaxed else softmax(scores), path)
    boxes = probe.stacked(outputs.boxes)
    if table is None:
        corners = corners_by_hand(boxes.reshape(-1, 4), hints.layout).reshape(boxes.shape)
        refuse_not_decoded(corners, path)
        return Reading(outputs, softmaxed, None, hints.layout)
    if hints.layout is not BoxLayout.XYXY:
        raise InputError(
            "--box-layout and --anchors cannot be combined",
            wanted="only one of the two",
            do="If the model outputs offsets, leave out --box-layout; if it outputs boxes, leave out --anchors.",
        )
    if len(table.boxes) != boxes.shape[1]:
        raise InputError(
            f"{hints.anchors} does not match {path}",
            got=f"{len(table.boxes)} anchors",
            wanted=f"{boxes.shape[1]} anchors, one for each row of {outputs.boxes}",
            do="Save the anchors (priors) of exactly this network at this input size.",
        )
    refuse_decoded(boxes, table.boxes, path)
    return Reading(outputs, softmaxed, table.boxes)


def _spec(
    path: Path,
    entry: InputSpec,
    probe: Probe,
    reading: Reading,
    hints: Hints,
    given: tuple[str, ...] | None,
    table: BoxTable | None,
) -> ModelSpec:
    _, count, logits = probe.shapes[reading.outputs.scores]
    return ModelSpec(
        name=hints.name or path.stem,
        architecture=ARCHITECTURE,
        input=entry,
        anchors=table.spec if table is not None else AnchorSpec((), table=AnchorTable(count)),
        class_names=class_names(logits - 1, given),
        box_coding=hints.coding if table is not None else _UNKNOWN_CODING,
        nms=hints.nms,
    )


@dataclass(frozen=True)
class GraphPlan:
    """Target file of an import, and the original that it must agree with.

    Attributes:
        spec: of the imported model.
        reading: how the foreign answers are read.
        probe: images and foreign answers.
        source_digest: of the foreign file.
    """

    spec: ModelSpec
    reading: Reading
    probe: Probe
    source_digest: str


def write_graph(model: onnx.ModelProto, plan: GraphPlan, target: Path) -> tuple[bool, Agreement]:
    """Write ``target`` for any number of images if it proves right for several at once, or else for one.

    Returns:
        Whether it takes any number, and how near it is to the foreign graph.

    Raises:
        InputError: the file cannot be written.
        ArtifactError: the graphs do not go together.
        ParityError: it finds something else than the foreign graph; ``target`` is left as it was.
    """
    try:
        return True, _write_verified(with_free_batch(model), plan, target, together=True)
    except (ParityError, ArtifactError):
        return False, _write_verified(with_single_batch(model), plan, target, together=False)


def _write_verified(model: onnx.ModelProto, plan: GraphPlan, target: Path, *, together: bool) -> Agreement:
    scored = scored_boxes(model, plan.spec, plan.reading)
    with written_beside(target) as partial:
        onnx.save(finished(scored, plan.spec, plan.source_digest, _rounds(plan)), partial)
        return verify(partial, scored, plan.spec, plan.reading, plan.probe, together=together)


def _rounds(plan: GraphPlan) -> int:
    """Return the rounds of suppression that the image with the longest chain needs."""
    found = (by_hand(answer, plan.spec, plan.reading) for answer in plan.probe.answers)
    return max(
        rounds_needed(boxes.astype(np.float32), scores.astype(np.float32), plan.spec.nms) for boxes, scores in found
    )
