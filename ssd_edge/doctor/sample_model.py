"""A detector that needs no training: it finds red, green and blue squares, by filters that are written down here.

The self-test needs a network of which the right answer is known, small enough to be built in seconds, with the layers
of a real SSD: strided convolutions with ReLU, two heads, anchors, softmax, decoding. Each color has a channel
that says how much of it there is; a head's filter is bright where a square of the anchor's size would be and dark
around it (a matched filter), and the offsets come from the filter's first moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.core.anchor_spec import AnchorLevel, AnchorSpec
from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, SPEC_KEY
from ssd_edge.core.spec import BoxCoding, InputSpec, ModelSpec, NmsSpec
from ssd_edge.graph.nms import attach_nms
from ssd_edge.graph.source import SourceModel, read_onnx

COLORS = ("red", "green", "blue")
SIZES = (24, 40)  # sides of the squares, in pixels of the input
SIDE = 128
STRIDE = 8
_CELLS = SIDE // STRIDE
_KERNEL = 7
_MEAN, _STD = (127.5,) * 3, (127.5,) * 3
_VARIANCES = (0.1, 0.1, 0.2, 0.2)
_OPSET = 17
# A square that lies well on the cells answers 15 or more, one that is half beside them 7 or less.
_GAIN, _THRESHOLD = 10.0, 7.5
_MARGIN = 4
_NEAR = 2  # pixels from a cell's center, in each direction
_GAP = 20  # between two squares, so that the filters of one do not see the other

Graph = list[onnx.NodeProto]
Weights = dict[str, np.ndarray[Any, Any]]


def sample_spec() -> ModelSpec:
    """Return the spec: 16 x 16 cells of two anchors."""
    step = 1 / _CELLS
    sizes = tuple((side / SIDE, side / SIDE) for side in SIZES)
    return ModelSpec(
        name="selftest",
        architecture="selftest",
        input=InputSpec(SIDE, SIDE, _MEAN, _STD, "rgb"),
        anchors=AnchorSpec((AnchorLevel(_CELLS, _CELLS, (step, step), sizes),)),
        class_names=COLORS,
        box_coding=BoxCoding(_VARIANCES),
        nms=NmsSpec(score_threshold=0.3, iou_threshold=0.2, top_k=100, keep_top_k=20, max_candidates=100),
    )


def write_sample_model(path: Path) -> SourceModel:
    """Write the whole detector as ONNX, and return it."""
    onnx.save(attach_nms(sample_graph(), sample_spec()), path)
    return read_onnx(path)


def sample_graph() -> onnx.ModelProto:
    """Return images (B, 128, 128, 3) uint8 -> boxes (B, 512, 1, 4), scores (B, 512, 3), without its NMS."""
    weights: Weights = {}
    nodes = [*_input_nodes(weights), *_backbone(weights), *_heads(weights), *_decoder(weights)]
    batch = "batch"
    count = sample_spec().anchors.count
    graph = helper.make_graph(
        nodes,
        "selftest",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, (batch, SIDE, SIDE, 3))],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, (batch, count, 1, 4)),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, (batch, count, len(COLORS))),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    helper.set_model_props(model, {SPEC_KEY: sample_spec().to_json()})
    return model


def _input_nodes(weights: Weights) -> Graph:
    weights["mean"] = np.full((1, 3, 1, 1), _MEAN[0], np.float32)
    weights["std"] = np.full((1, 3, 1, 1), _STD[0], np.float32)
    return [
        helper.make_node("Cast", [INPUT_NAME], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=(0, 3, 1, 2)),
        helper.make_node("Sub", ["planes", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["normalised"]),
    ]


def _backbone(weights: Weights) -> Graph:
    """Three strided convolutions: how much of each color there is, then two blurs that keep the colors apart.

    An even kernel keeps the center of a cell where the anchors have it.
    """
    blur = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
    # The input is BGR; channel k answers color k of COLORS: that plane less the mean of the other two.
    mixing = np.array([[-0.5, -0.5, 1], [-0.5, 1, -0.5], [1, -0.5, -0.5]], np.float32)
    weights["conv1.weight"] = np.asarray(mixing[:, :, None, None] * blur, np.float32)
    apart = np.asarray(np.eye(3)[:, :, None, None] * blur, np.float32)
    weights["conv2.weight"] = weights["conv3.weight"] = apart
    nodes, source = [], "normalised"
    for number in (1, 2, 3):
        name = f"conv{number}"
        nodes += [
            helper.make_node(
                "Conv", [source, f"{name}.weight"], [name], name, kernel_shape=(4, 4), strides=(2, 2), pads=(1, 1, 1, 1)
            ),
            helper.make_node("Relu", [name], [f"{name}.relu"], f"{name}.relu"),
        ]
        source = f"{name}.relu"
    return nodes


def _heads(weights: Weights) -> Graph:
    """Class logits (B, 512, 4) with background first, and offsets (B, 512, 4), each from one 7 x 7 convolution."""
    logits, offsets, biases = [], [], []
    for side in SIZES:
        matched = _matched_filter(side)
        logits.append(np.zeros((3, _KERNEL, _KERNEL), np.float32))
        logits += [
            np.eye(3, dtype=np.float32)[colour][:, None, None] * (_GAIN * matched) for colour in range(len(COLORS))
        ]
        offsets += [np.broadcast_to(moment, (3, _KERNEL, _KERNEL)) for moment in _moments(side)]
        biases += [0.0, *[-_THRESHOLD] * len(COLORS)]
    weights["logits.weight"], weights["offsets.weight"] = np.stack(logits), np.stack(offsets).astype(np.float32)
    weights["logits.bias"] = np.array(biases, np.float32)
    weights["offsets.bias"] = np.zeros(4 * len(SIZES), np.float32)
    return [node for name in ("logits", "offsets") for node in _head(name)]


def _head(name: str) -> Graph:
    pads = (_KERNEL // 2,) * 4
    inputs = ["conv3.relu", f"{name}.weight", f"{name}.bias"]
    return [
        helper.make_node("Conv", inputs, [f"{name}.map"], name, kernel_shape=(_KERNEL, _KERNEL), pads=pads),
        helper.make_node("Transpose", [f"{name}.map"], [f"{name}.rows"], perm=(0, 2, 3, 1)),
        helper.make_node("Reshape", [f"{name}.rows", "flat"], [name]),
    ]


def _matched_filter(side: int) -> FloatArray:
    """Return 7 x 7: 1 / area inside a square of this side, and as much below zero, spread over the cells around it."""
    reach = np.abs(np.arange(_KERNEL) - _KERNEL // 2) * STRIDE
    inside = (np.maximum(reach[:, None], reach[None]) < side / 2).astype(np.float32)
    around = (np.maximum(reach[:, None], reach[None]) < side / 2 + 2 * STRIDE) * (1 - inside)
    return np.asarray(inside / inside.sum() - around / around.sum(), np.float32)


def _moments(side: int) -> list[FloatArray]:
    """Return the four filters of the offsets: first moments for the center, nothing for the size."""
    inside = _matched_filter(side).clip(min=0)
    cells = np.arange(_KERNEL, dtype=np.float32) - _KERNEL // 2
    along_x = inside * cells[None] * (STRIDE / side / _VARIANCES[0])
    nothing = np.zeros_like(inside)
    return [along_x, along_x.T, nothing, nothing]


def _decoder(weights: Weights) -> Graph:
    """Softmax without background, and boxes as corners, clipped to the image (SSD, section 2.2)."""
    centers, sizes = _default_boxes()
    weights |= {
        "default.centres": centers,
        "default.sizes": sizes,
        "variance.centre": np.float32(_VARIANCES[0]) * sizes,
        "variance.size": np.full((1, 1, 1), _VARIANCES[2], np.float32),
        "half": np.full((1, 1, 1), 0.5, np.float32),
        "zero": np.zeros((), np.float32),
        "one": np.ones((), np.float32),
    }
    indices = {"flat": (0, -1, 4), "from": (1,), "to": (4,), "axis": (2,), "split": (2, 2)}
    weights |= {name: np.array(value, np.int64) for name, value in indices.items()}
    steps: tuple[tuple[str, list[str], list[str], dict[str, Any]], ...] = (
        ("Softmax", ["logits"], ["probabilities"], {"axis": 2}),
        ("Slice", ["probabilities", "from", "to", "axis"], ["scores"], {}),
        ("Split", ["offsets", "split"], ["offset.centre", "offset.size"], {"axis": 2}),
        ("Mul", ["offset.centre", "variance.centre"], ["shift"], {}),
        ("Add", ["shift", "default.centres"], ["centre"], {}),
        ("Mul", ["offset.size", "variance.size"], ["log.scale"], {}),
        ("Exp", ["log.scale"], ["scale"], {}),
        ("Mul", ["scale", "default.sizes"], ["size"], {}),
        ("Mul", ["size", "half"], ["reach"], {}),
        ("Sub", ["centre", "reach"], ["first.corner"], {}),
        ("Add", ["centre", "reach"], ["last.corner"], {}),
        ("Concat", ["first.corner", "last.corner"], ["corners"], {"axis": 2}),
        ("Clip", ["corners", "zero", "one"], ["clipped"], {}),
        ("Unsqueeze", ["clipped", "axis"], ["boxes"], {}),
    )
    return [helper.make_node(op, inputs, outputs, **attributes) for op, inputs, outputs, attributes in steps]


def _default_boxes() -> tuple[FloatArray, FloatArray]:
    """Return centers and sizes, (1, 512, 2) each: cells row by row, the boxes of a cell innermost."""
    along = (np.arange(_CELLS, dtype=np.float32) + 0.5) / _CELLS
    y, x = np.meshgrid(along, along, indexing="ij")
    centers = np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), len(SIZES), axis=0)
    sides = np.array(SIZES, np.float32) / SIDE
    sizes = np.tile(np.stack([sides, sides], axis=-1), (_CELLS * _CELLS, 1))
    return centers[None].astype(np.float32), sizes[None].astype(np.float32)


@dataclass(frozen=True)
class SampleFrame:
    """An image and its truth.

    Attributes:
        image: (128, 128, 3) BGR.
        boxes: (N, 4) float32 x1 y1 x2 y2 in pixels.
        class_ids: (N,) int64, into ``COLORS``.
    """

    image: UInt8Array
    boxes: FloatArray
    class_ids: IntArray


def sample_frames(count: int, seed: int = 0) -> list[SampleFrame]:
    """Return images of one to three squares each; the same seed draws the same ones."""
    generator = np.random.default_rng(seed)
    return [_draw(generator) for _ in range(count)]


def _draw(generator: np.random.Generator) -> SampleFrame:
    image = generator.integers(100, 156, (SIDE, SIDE, 1)).repeat(3, axis=2).astype(np.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    class_ids: list[int] = []
    for _ in range(int(generator.integers(1, 4))):
        box = _free_place(generator, boxes)
        if box is None:
            continue
        colour = int(generator.integers(len(COLORS)))
        x1, y1, x2, y2 = box
        image[y1:y2, x1:x2] = 40
        image[y1:y2, x1:x2, len(COLORS) - 1 - colour] = generator.integers(215, 256)
        boxes.append(box)
        class_ids.append(colour)
    return SampleFrame(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64))


def _free_place(
    generator: np.random.Generator, taken: list[tuple[int, int, int, int]]
) -> tuple[int, int, int, int] | None:
    """Return a square that keeps its distance from the others; None where twenty tries find none."""
    for _ in range(20):
        side = int(generator.choice(SIZES))
        x, y = (_near_a_cell(generator, side) for _ in range(2))
        box = (x, y, x + side, y + side)
        if all(_apart(box, other) for other in taken):
            return box
    return None


def _near_a_cell(generator: np.random.Generator, side: int) -> int:
    """Return where a square begins whose center lies near that of a cell: between two the better box is not certain."""
    places = np.arange(_MARGIN, SIDE - _MARGIN - side)
    beside = (places + side / 2 - STRIDE / 2 + _NEAR) % STRIDE
    return int(generator.choice(places[beside <= 2 * _NEAR]))


def _apart(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return (
        one[0] >= other[2] + _GAP or other[0] >= one[2] + _GAP or one[1] >= other[3] + _GAP or other[1] >= one[3] + _GAP
    )
