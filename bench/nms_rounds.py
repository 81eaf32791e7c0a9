"""The rounds of suppression that images of a data set need, and whether an engine's rounds give what the Loop gives.

    python -m bench.nms_rounds MODEL.onnx DATASET [--split val]

MODEL is an exported or imported ONNX. Its Loop and the rounds that ``build`` would write out, as matrix products and as
sums (for Turing), run on the same boxes and scores in ONNX Runtime; outputs are compared bit by bit.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from bench._options import run
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, NMS_OP, OUTPUT_NAMES
from ssd_edge.core.images import read_image
from ssd_edge.core.preprocess import preprocess
from ssd_edge.data.find import open_dataset
from ssd_edge.graph.nms_bodies import rounds_counted, rounds_for, write_out_rounds
from ssd_edge.graph.nms_rounds import rounds_needed
from ssd_edge.graph.source import read_onnx


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


class Network:
    """The model up to its NMS: an image -> boxes (1, N, 1, 4) and scores (1, N, C)."""

    def __init__(self, model: onnx.ModelProto, node: onnx.NodeProto) -> None:
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        self._names = list(node.input)
        entries = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self._names]
        shown.graph.output.extend(entries)
        self._session = session(shown)

    def __call__(self, pixels: UInt8Array) -> tuple[FloatArray, FloatArray]:
        boxes, scores = self._session.run(self._names, {INPUT_NAME: pixels[None]})
        return boxes, scores


def nms_alone(model: onnx.ModelProto, node: onnx.NodeProto) -> onnxruntime.InferenceSession:
    """The node of a model with its body, and nothing else."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(node.input, (["b", None, 1, 4], ["b", None, None]), strict=True)
    ]
    graph = helper.make_graph([node], "nms", inputs, list(model.graph.output))
    made = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions, ir_version=8)
    return session(made)


def main(model: Path, dataset: Path, *, split: str = "val") -> None:
    source = read_onnx(model)
    graph, spec = source.model, source.spec
    node = next(entry for entry in graph.graph.node if entry.op_type == NMS_OP)
    rounds = rounds_for(graph)
    network, loop = Network(graph, node), nms_alone(graph, node)
    forms = {
        "rounds": nms_alone(write_out_rounds(graph, rounds), node),
        "rounds of sums": nms_alone(write_out_rounds(graph, rounds, products=False), node),
    }
    needed: Counter[int] = Counter()
    differ: Counter[str] = Counter()
    for sample in open_dataset(dataset, split).samples:
        boxes, scores = network(preprocess(read_image(sample.image), spec.input))
        needed[rounds_needed(boxes[0, :, 0], scores[0], spec.nms)] += 1
        feed = dict(zip(node.input, (boxes, scores), strict=True))
        wanted = loop.run(OUTPUT_NAMES, feed)
        for name, form in forms.items():
            differ[name] += not all(map(np.array_equal, form.run(OUTPUT_NAMES, feed), wanted))
    print(f"{model.name}: {rounds_counted(graph)} rounds counted in the file, {rounds} in an engine")
    print(
        f"{needed.total()} images need {max(needed)} at most: " + ", ".join(f"{n}: {needed[n]}" for n in sorted(needed))
    )
    for name in forms:
        print(f"{name}: {differ[name]} images with other outputs than the Loop")


if __name__ == "__main__":
    run(main)
